#[path = "../benches/echo/material.rs"]
mod material;
#[path = "../tests/room/mod.rs"]
mod room;
use duologue_core::audio::HEAR_FRAME;
use duologue_core::media::self_voice::SelfVoice;
use room::{Dice, Path, Room};
use duologue_core::audio::resample::Resampler;
fn main() {
    let agents: Vec<Vec<f32>> = ["/tmp/agent", "/work/shared/testdata/ljspeech"].iter().flat_map(|p| material::agent(std::path::Path::new(p))).map(|s| { let mut r = Resampler::new(48000, 16000).unwrap(); let mut o = vec![]; r.push(&s, &mut o); o }).collect();
    let clips = material::callers(std::path::Path::new("/work/shared/testdata/librispeech"));
    let mut dice = Dice(5);
    for (name, loss, with_caller) in [("unrelated", 120.0, true), ("echo10", 10.0, false), ("echo30", 30.0, false), ("both10", 10.0, true)] {
        let mut maxes = vec![]; let mut firsts = vec![]; let mut hist = [0u32; 60]; let mut wrong = 0; let mut n_lock = 0; let mut res = vec![];
        for _ in 0..150 {
            let agent = &agents[dice.below(agents.len())];
            let clip = &clips[dice.below(clips.len())];
            let delay_ms = dice.below(400) as u32;
            let mut room = Room::new(Path { loss_db: loss, delay_ms, drift_ppm: 100.0, room_ms: 168 }, &mut dice);
            let mut own = SelfVoice::new();
            let mut waiting = [0.0; HEAR_FRAME];
            let start = dice.below(20);
            let (mut max, mut first) = (-1.0f32, None);
            for n in 0..agent.len().min(64_000) / HEAR_FRAME {
                own.hear(&waiting, None);
                if own.delay().is_none() && own.hears() && n > 5 { res.push(own.res()); }
                let s = own.score();
                max = max.max(s);
                hist[(s.max(0.0) * 20.0) as usize % 60] += 1;
                if own.delay().is_some() && first.is_none() { first = Some(n); n_lock += 1; let e = delay_ms as i64 + 20; if (own.delay().unwrap().as_millis() as i64 - e).abs() > 30 { wrong += 1; } }
                let said: [f32; HEAR_FRAME] = agent[n * HEAR_FRAME..][..HEAR_FRAME].try_into().unwrap();
                own.played(&said);
                room.hear(&said, &mut waiting);
                for (k, s) in waiting.iter_mut().enumerate() {
                    *s += (dice.roll() - 0.5) * 2e-3;
                    if with_caller && n >= start { *s += clip.sound.get((n - start) * HEAR_FRAME + k).copied().unwrap_or(0.0); }
                }
            }
            maxes.push(max); firsts.push(first.map_or(999, |f| f as i64 - delay_ms as i64 / 20));
        }
        maxes.sort_by(f32::total_cmp); res.sort_by(f32::total_cmp); let r = |p: usize| res[res.len() * p / 100]; firsts.sort();
        let q = |p: usize| maxes[maxes.len() * p / 100]; let f = |p: usize| firsts[firsts.len() * p / 100];
        println!("{name:10} max score p5 {:.2} p50 {:.2} p95 {:.2} p99 {:.2} | locked {n_lock} wrong {wrong} first p5 {} p50 {} p95 {} | unlocked n {} res p2 {:.2} p10 {:.2} p50 {:.2} p90 {:.2} p98 {:.2}", q(5), q(50), q(95), q(99), f(5), f(50), f(95), res.len(), r(2), r(10), r(50), r(90), r(98));
    }
}
