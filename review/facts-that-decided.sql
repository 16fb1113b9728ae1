-- Which facts decided something?

SELECT rests_on, action, count(*) AS times, max(fact_call) AS said_in_call, max(fact_turn) AS said_in_turn,
       max(call) AS latest_call
FROM judgement_reasons WHERE rests_on IS NOT NULL GROUP BY rests_on, action ORDER BY times DESC LIMIT 50;
