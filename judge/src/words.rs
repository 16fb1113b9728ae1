//! Words that the evidence counts, English first, then Chinese. They are clues for the trained part, never a verdict.

/// Words after which a clause goes on.
pub const OPEN_ENDED: &[&str] = &[
    "a", "an", "the", "and", "or", "but", "so", "because", "cause", "cos", "if", "when", "that", "which", "who", "to", "of",
    "in", "on", "at", "for", "with", "from", "by", "my", "your", "his", "her", "our", "their", "its", "is", "was", "are",
    "were", "am", "be", "been", "i", "you", "he", "she", "we", "they", "it's", "i'm", "i'll", "i'd", "i've", "then", "than",
    "as", "like", "just", "um", "uh", "er", "this", "these", "those", "some", "any", "have", "has", "had", "will", "would",
    "can", "could", "do", "did", "not", "very", "into", "about", "until", "while", "where", "said", "says", "gonna", "well",
    "每", "和", "跟", "的", "在", "把", "就", "是", "然后", "因为", "所以", "如果", "但是", "还有", "那个", "给",
];
pub const HOLD: &[&str] = &[
    "hold on", "hang on", "let me think", "let me see", "let me check", "one sec", "one second", "a second", "one moment",
    "just a moment", "a minute", "bear with me", "wait", "let me find", "let me look", "where did i", "give me a",
    "where is it", "getting my", "getting a pen", "just looking", "half a mo", "two ticks", "等一下", "等等", "稍等", "我想想", "我看看",
    "我找", "让我", "等我", "别挂",
];
pub const BYE: &[&str] = &[
    "bye", "goodbye", "good night", "goodnight", "cheers then", "see you", "take care", "ta-ra", "ta ra", "cheerio", "so long",
    "talk soon", "that's all", "that's everything", "再见", "拜拜", "回头见", "先这样", "挂了", "没别的",
];
pub const INSULT: &[&str] = &[
    "idiot", "stupid", "moron", "useless", "bitch", "bastard", "cow", "git", "dumb", "thick", "fuck", "shit", "shut up",
    "pathetic", "cretin", "scum", "arse", "ass", "prick", "dickhead", "wanker", "twat", "piece of", "loser", "screw you", "piss",
    "crap", "bloody", "damn", "muppet", "clown", "worthless", "hate you", "trash", "garbage", "slag", "ugly", "filthy", "freak",
    "kill you", "find you", "burn", "smash", "dumbass", "imbecile", "hag", "pig", "rat", "滚", "傻", "白痴", "蠢", "废物", "混蛋",
    "神经病", "有病", "妈的", "他妈", "去死", "垃圾", "闭嘴", "贱", "猪",
];
/// What an agent says when it warns or refuses.
pub const WARNING: &[&str] = &[
    "please don't", "don't speak", "don't talk", "won't be spoken", "language", "i'll end", "end this call", "end the call",
    "hang up", "i'll have to", "last time", "warn", "polite", "civil", "respect", "not like that", "stop that", "insult", "abuse",
    "tone", "mind your", "that word", "names", "swear", "shout", "请不要", "请您不要", "文明", "骂", "结束通话", "挂断", "尊重", "客气",
    "警告", "这样说话",
];
pub const REFUSAL: &[&str] = &[
    "can't", "cannot", "won't", "don't give", "not allowed", "not able", "i'm afraid", "unable", "no,", "sorry", "not possible",
    "isn't possible", "refuse", "不能", "不行", "没办法", "抱歉", "不可以", "恕",
];
pub const EMERGENCY: &[&str] = &[
    "smoke", "fire", "gas", "bleeding", "blood", "unconscious", "breathe", "breathing", "ambulance", "collapsed", "chest",
    "passed out", "choking", "seizure", "poison", "overdose", "won't wake", "blue", "sparks", "flames", "stroke", "drown",
    "kill myself", "swallowed", "not moving", "smell", "allergic", "swelling", "着火", "冒烟", "流血", "呼吸", "晕", "煤气", "救命", "胸口",
    "抽搐", "昏",
];
pub const DIGITS: &[&str] = &[
    "oh", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "double", "零", "一", "二", "三", "四", "五",
    "六", "七", "八", "九", "幺",
];
pub const SPELLING: &[&str] = &[
    "postcode", "post code", "zip", "number is", "number's", "email", "address is", "street", "road", "spelled", "spelt",
    "surname", "first name", "name's", "name is", "account number", "reference", "dot com", "at sign", "underscore", "dash",
    "as in", "地址", "电话", "号码", "邮箱", "身份证", "卡号", "姓",
];
pub const FEELING: &[&str] = &[
    "died", "passed away", "funeral", "cry", "crying", "scared", "afraid", "lonely", "miss him", "miss her", "divorce", "cancer",
    "lost my", "hospital", "upset", "ashamed", "grief", "heartbroken", "hurts", "去世", "难过", "害怕", "哭", "孤单", "走了", "医院",
];
pub const QUESTION: &[&str] = &[
    "what", "when", "where", "why", "who", "how", "which", "can you", "could you", "do you", "does", "is there", "are there",
    "is it", "would you", "will you", "can i", "could i", "may i", "do i", "am i", "isn't it", "right?", "吗", "呢", "什么", "怎么", "多少",
    "哪", "几点", "谁", "能不能", "可以", "为什么",
];
/// Things that an agent has said it would do, or that are due.
pub const DUE: &[&str] = &[
    "promised", "promise", "remind", "call back", "asked to be", "wants to be told", "should be told", "follow up", "to be told",
    "due", "tell him", "tell her", "ask how", "waiting for", "答应", "提醒", "回电", "约好", "告诉他", "告诉她", "要问",
];
/// The caller has said that it will take a while.
pub const AWAY: &[&str] = &[
    "a minute", "back in", "hold on", "hang on", "one sec", "moment", "let me", "fetch", "find my", "go and", "look for", "be right",
    "kettle", "door", "take your time", "no rush", "no hurry", "i'll wait", "i'll be here", "别急", "慢慢", "等一下", "等我", "稍等", "我去",
    "马上回来",
];
pub const ASIDE: &[&str] = &[
    "darling", "mum", "mom", "dad", "love", "get down", "put that", "not you", "kids", "sit", "off the", "tell him", "tell her",
    "in a minute", "coming", "good boy", "leave it", "stop that", "come here", "i'm on the phone", "don't touch", "宝贝", "妈", "爸",
    "老公", "老婆", "别闹", "过来", "下来", "我在打电话", "放下",
];
pub const DAYS: &[&str] = &[
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "today", "tomorrow", "tonight", "周一", "周二",
    "周三", "周四", "周五", "周六", "周日", "周天", "星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期天", "今天", "明天",
];
pub const MONTHS: &[&str] = &[
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
    "一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "十一月", "十二月",
];
/// Words that say little: not counted when two texts are compared.
pub const COMMON: &[&str] = &[
    "the", "a", "an", "and", "or", "but", "so", "to", "of", "in", "on", "at", "for", "with", "is", "was", "are", "were", "be",
    "i", "you", "he", "she", "it", "we", "they", "my", "your", "his", "her", "that", "this", "has", "have", "had", "do", "does",
    "did", "not", "no", "yes", "as", "if", "then", "there", "what", "when", "from", "by", "me", "him", "them", "it's", "i'm",
    "just", "like", "um", "uh", "er", "well", "can", "will", "would", "about", "up", "out", "all", "said", "one",
];
pub const COMMON_CHARACTERS: &str = "的了是我你他她在不就都也有和这那个吗呢吧啊嘛要给把说去来";
