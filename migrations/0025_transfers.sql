-- Calls that are handed on to somebody else: the events `transfer` tell of each, and this is the end of one that has come about.

INSERT INTO end_reasons (reason, meaning) VALUES
    ('transferred', 'the other side speaks to somebody else in our place');
