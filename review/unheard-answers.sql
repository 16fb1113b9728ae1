-- Which answers did nobody hear, and how far did they come?

SELECT call, turn, outcome, words, words_sent, generated
FROM heard_vs_generated WHERE heard = '' AND generated <> '' ORDER BY call DESC, turn LIMIT 50;
