-- After which word did callers cut in, and how much was still to come?

SELECT call, turn, after_word, words_before, words_over, words_lost, caller_said
FROM cut_ins
WHERE (call, turn) IN (SELECT call, turn FROM turns WHERE speaker = 'agent' AND outcome = 'interrupted'
                       ORDER BY call DESC, turn LIMIT 50)
ORDER BY call DESC, turn;
