//! What the person at the terminal sees of a download: a bar, or a plain line every few seconds where there is no terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(3);

/// Bytes of one undertaking, with rate and time left.
pub struct Progress {
    bar: ProgressBar,
    plain: Option<Plain>,
}

struct Plain {
    started: Instant,
    spoken: Instant,
    label: String,
}

impl Progress {
    /// Starts at zero of `total_bytes`, on standard error.
    pub fn new(total_bytes: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total_bytes), target);
        let template = "{msg:40!} {bar:30} {decimal_bytes:>9} of {decimal_total_bytes:9} {decimal_bytes_per_sec:>11}, \
                        {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let now = Instant::now();
        let plain = (!terminal).then(|| Plain { started: now, spoken: now, label: String::new() });
        Progress { bar, plain }
    }

    /// Names what is being done now.
    pub fn label(&mut self, label: &str) {
        self.bar.set_message(label.to_owned());
        if let Some(plain) = &mut self.plain {
            plain.label = label.to_owned();
        }
    }

    /// `bytes` of the total have arrived.
    pub fn at(&mut self, bytes: u64) {
        self.bar.set_position(bytes);
        if let Some(plain) = &mut self.plain
            && plain.spoken.elapsed() >= PLAIN_EVERY
        {
            plain.spoken = Instant::now();
            let total = self.bar.length().unwrap_or(bytes);
            eprintln!("{}: {}", plain.label, line(bytes, total, plain.started.elapsed()));
        }
    }

    /// Sets the total once it is known.
    pub fn total(&mut self, total_bytes: u64) {
        self.bar.set_length(total_bytes);
    }

    /// A line of its own that stays.
    pub fn say(&self, line: &str) {
        if self.plain.is_some() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// "120.0 of 580.0 MB, 40.0 MB/s, 12 s left", from the mean rate so far.
fn line(bytes: u64, total: u64, elapsed: Duration) -> String {
    let rate = bytes as f64 / elapsed.as_secs_f64().max(1e-3);
    let so_far = format!("{} of {}, {}/s", megabytes(bytes), megabytes(total), megabytes(rate as u64));
    if bytes == 0 {
        return so_far;
    }
    let left_s = (total.saturating_sub(bytes) as f64 / rate).ceil();
    if left_s < 100.0 {
        format!("{so_far}, {left_s:.0} s left")
    } else {
        format!("{so_far}, {:.0} min left", left_s / 60.0)
    }
}

/// Decimal megabytes, as disks and downloads are counted; small files in kilobytes.
pub fn megabytes(bytes: u64) -> String {
    if bytes < 1_000_000 { format!("{:.1} kB", bytes as f64 / 1e3) } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

/// "1 model", "7 models".
pub fn models(count: usize) -> String {
    format!("{count} model{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_tells_bytes_rate_and_time_left() {
        let text = line(120_000_000, 580_000_000, Duration::from_secs(3));
        assert_eq!(text, "120.0 MB of 580.0 MB, 40.0 MB/s, 12 s left");
        let text = line(20_000_000, 800_000_000, Duration::from_secs(10));
        assert_eq!(text, "20.0 MB of 800.0 MB, 2.0 MB/s, 6 min left");
    }

    #[test]
    fn before_the_first_byte_no_time_is_promised() {
        assert_eq!(line(0, 2_000_000, Duration::ZERO), "0.0 kB of 2.0 MB, 0.0 kB/s");
    }
}
