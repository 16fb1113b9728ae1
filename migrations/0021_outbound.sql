-- Calls that the server makes itself (`transport` is `sip-out`), and what may come of them instead of a conversation. Whom it
-- called stands as the call's caller, the other side of a call, by his address unless another name was given.

INSERT INTO end_reasons (reason, meaning) VALUES
    ('busy',        'whom the server called was speaking to somebody else'),
    ('declined',    'whom the server called did not want the call'),
    ('no-answer',   'whom the server called let it ring'),
    ('unreachable', 'whom the server called could not be had: no such number, nobody there, no codec in common');
