-- Where did a budget or a never-rule overrule the judge?

SELECT overruled_by, proposed, action, count(*) AS times, max(call) AS latest_call
FROM judgements WHERE overruled_by IS NOT NULL GROUP BY overruled_by, proposed, action ORDER BY times DESC;
