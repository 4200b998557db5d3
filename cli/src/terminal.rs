//! What goes to standard error: messages, log lines, progress.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;

use super::env;
use super::output::{one_line, printable};
use satmip::Error;
use satmip::zoo::Event;
use satmip_archive::Progress;

/// How often progress is told where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(10);

/// Standard error, shared by messages, log lines and progress bars.
#[derive(Debug)]
pub(super) struct Terminal {
    quiet: bool,
    colour: bool,
    bars: MultiProgress,
}

impl Terminal {
    /// Sets logging up. Without `-v` warnings are shown, with one what is done, with two
    /// everything.
    pub(super) fn open(verbose: u8, quiet: bool) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let no_color = std::env::var_os(env::NO_COLOR).is_some_and(|value| !value.is_empty());
        let colour = is_terminal && !no_color;
        let bars = MultiProgress::with_draw_target(match is_terminal && !quiet {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        });
        let level = match (quiet, verbose) {
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "warn,satmip=info",
            (false, 2) => "info,satmip=debug",
            (false, _) => "trace",
        };
        let filter = match std::env::var(env::SATMIP_LOG) {
            Ok(filter) if !filter.is_empty() => EnvFilter::builder().parse_lossy(filter),
            _ => EnvFilter::new(level),
        };
        // A second call in one process keeps the first one's settings.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .fmt_fields(
                debug_fn(|line, field, value| line.write_str(&shown_field(field.name(), value)))
                    .delimited(" "),
            )
            .with_writer(LogWriter { bars: bars.clone() })
            .with_ansi(colour)
            .with_target(false)
            .without_time()
            // Nobody can be told when standard error is gone.
            .log_internal_errors(false)
            .try_init();
        Terminal {
            quiet,
            colour,
            bars,
        }
    }

    /// Says that a command failed, why, and what can be done.
    pub(super) fn error(&self, error: &Error) {
        let (red, plain) = match self.colour {
            true => ("\x1b[1;31m", "\x1b[0m"),
            false => ("", ""),
        };
        let mut text = format!("{red}error{plain}: {}\n", indented(&error.to_string()));
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text.push_str(&format!("  caused by: {}\n", indented(&error.to_string())));
            cause = error.source();
        }
        if let Some(hint) = error.hint() {
            text.push_str(&format!("\nhint: {}\n", indented(&hint)));
        }
        self.write(&text);
    }

    /// A line for people, unless they asked for quiet.
    pub(super) fn say(&self, line: &str) {
        if !self.quiet {
            self.write(&format!("{}\n", printable(line)));
        }
    }

    /// [`Terminal::say`] for another thread.
    pub(super) fn sayer(&self) -> impl Fn(&str) + Send + 'static {
        let (bars, quiet) = (self.bars.clone(), self.quiet);
        move |line| {
            if !quiet {
                // Nobody can be told when standard error is gone.
                let line = format!("{}\n", printable(line));
                let _ = bars.suspend(|| io::stderr().write_all(line.as_bytes()));
            }
        }
    }

    fn write(&self, text: &str) {
        // Nobody can be told when standard error is gone.
        let _ = self
            .bars
            .suspend(|| io::stderr().write_all(text.as_bytes()));
    }

    /// Shows what is downloaded: licence and size before, a bar for each file, what goes wrong.
    pub(super) fn downloads(&self) -> impl Fn(Event<'_>) + Send + Sync + 'static {
        let (bars, quiet) = (self.bars.clone(), self.quiet);
        let bar: Mutex<Option<ProgressBar>> = Mutex::new(None);
        let say = move |bars: &MultiProgress, line: String| {
            if !quiet {
                let line = format!("{}\n", one_line(&line));
                // Nobody can be told when standard error is gone.
                let _ = bars.suspend(|| io::stderr().write_all(line.as_bytes()));
            }
        };
        move |event| match event {
            Event::Model { model, bytes } => {
                let (name, licence) = (model.name(), &model.licence);
                say(
                    &bars,
                    format!(
                        "downloading {name}: {}, licence {licence}",
                        megabytes(bytes)
                    ),
                );
            }
            Event::File { file, size } => {
                let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
                if bars.is_hidden() {
                    say(&bars, format!("  {file}, {}", megabytes(size)));
                    return;
                }
                let new =
                    bars.add(ProgressBar::new(size).with_message(one_line(file).into_owned()));
                let template =
                    "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
                if let Ok(style) = ProgressStyle::with_template(template) {
                    new.set_style(style);
                }
                if let Some(old) = bar.replace(new) {
                    old.finish_and_clear();
                }
            }
            Event::Bytes { of_file, of } => {
                let bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(bar) = &*bar {
                    bar.set_position(of_file);
                    if of_file == of {
                        bar.finish_and_clear();
                    }
                }
            }
            Event::Retry {
                place,
                reason,
                wait,
            } => {
                say(
                    &bars,
                    format!("  {place}: {reason}; again in {:.1} s", wait.as_secs_f64()),
                );
            }
            Event::Waits { file } => say(
                &bars,
                format!("  another process has {file}; waiting for it"),
            ),
            _ => {}
        }
    }

    /// Shows how a job goes on: a bar on a terminal, else a line now and then.
    pub(super) fn meter(&self) -> Meter<'_> {
        self.meter_of("items")
    }

    /// As [`Terminal::meter`], of `items` by another name.
    pub(super) fn meter_of(&self, items: &'static str) -> Meter<'_> {
        Meter {
            terminal: self,
            items,
            about: String::new(),
            bar: None,
            started: Instant::now(),
            told: Instant::now(),
        }
    }
}

/// Progress of one job.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    terminal: &'a Terminal,
    /// What is counted.
    items: &'static str,
    /// What else there is to say, in front of the speed.
    about: String,
    bar: Option<ProgressBar>,
    started: Instant,
    told: Instant,
}

impl Meter<'_> {
    /// Says something in front of the speed from now on, for example a loss.
    #[cfg(feature = "train")]
    pub(super) fn about(&mut self, text: String) {
        self.about = match text.is_empty() {
            true => text,
            false => text + ", ",
        };
    }

    pub(super) fn update(&mut self, progress: &Progress) {
        if self.terminal.bars.is_hidden() {
            if self.told.elapsed() >= INTERVAL {
                self.told = Instant::now();
                let elapsed = self.started.elapsed();
                let line = line(progress, self.items, &self.about, elapsed);
                self.terminal.say(&line);
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = self.terminal.bars.add(match progress.total {
                Some(total) => ProgressBar::new(total),
                None => ProgressBar::no_length(),
            });
            let template = match progress.total {
                Some(_) => format!("{{wide_bar}} {{pos}}/{{len}} {}, {{msg}}", self.items),
                None => format!("{{spinner}} {{pos}} {}, {{msg}}", self.items),
            };
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style);
            }
            bar
        });
        let speed = speed(progress, self.items, self.started.elapsed());
        bar.set_message(self.about.clone() + &speed);
        bar.set_position(progress.items);
    }

    /// Takes the bar away; the time since the job began.
    pub(super) fn finish(self) -> Duration {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}

/// A text of an error. What it says may have lines of its own, as those of TOML do; so may a file's name, so that none
/// of them begins like one of ours.
fn indented(text: &str) -> String {
    printable(text.trim_end()).replace('\n', "\n    ")
}

/// What a log line shows of one of its values. All is on one line: names of files and items are anybody's.
fn shown_field(name: &str, value: &dyn fmt::Debug) -> String {
    let value = format!("{value:?}");
    match name {
        "message" => one_line(&value).into_owned(),
        name => format!("{name}={}", one_line(&value)),
    }
}

fn line(progress: &Progress, items: &str, about: &str, elapsed: Duration) -> String {
    let of = progress
        .total
        .map(|n| format!(" of {n}"))
        .unwrap_or_default();
    let speed = speed(progress, items, elapsed);
    let skipped = match progress.skipped {
        0 => String::new(),
        n => format!(", {n} left out"),
    };
    format!("{}{of} {items}, {about}{speed}{skipped}", progress.items)
}

/// Items per second of this run, and the time that is left.
fn speed(progress: &Progress, items: &str, elapsed: Duration) -> String {
    let done = (progress.items - progress.resumed) as f64;
    let rate = done / elapsed.as_secs_f64().max(1e-3);
    let left = match progress.total {
        Some(total) if rate > 0.0 => {
            format!(
                ", {} left",
                duration((total.saturating_sub(progress.items)) as f64 / rate)
            )
        }
        _ => String::new(),
    };
    format!("{rate:.1} {items}/s{left}")
}

/// Bytes as people say them: `812 bytes`, `3.7 MB`.
pub(super) fn megabytes(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{bytes} bytes"),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Seconds as people say them: `41 s`, `12 min 05 s`, `3 h 05 min`.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e9).round() as u64;
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6000 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Writes log lines above the bars.
#[derive(Debug, Clone)]
struct LogWriter {
    bars: MultiProgress,
}

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LogWriter;

    fn make_writer(&'a self) -> LogWriter {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_no_line_of_ours() {
        let name = "a\u{202e}\u{0}\nerror: all is lost\r";
        let message = shown_field("message", &format_args!("skipped `{name}`"));
        assert_eq!(
            message,
            "skipped `a\\u{202e}\\u{0}\\nerror: all is lost\\r`"
        );
        assert_eq!(shown_field("file", &"a\nb"), "file=\"a\\nb\"");
        assert_eq!(indented(name), "a\\u{202e}\\u{0}\n    error: all is lost");
    }

    #[test]
    fn progress_counts_this_run_alone() {
        let mut progress = Progress::default();
        (progress.items, progress.resumed) = (150, 50);
        (progress.total, progress.skipped) = (Some(650), 2);
        let text = line(&progress, "items", "", Duration::from_secs(10));
        assert_eq!(
            text,
            "150 of 650 items, 10.0 items/s, 50 s left, 2 left out"
        );
        let mut stream = progress;
        (stream.total, stream.skipped) = (None, 0);
        assert_eq!(
            line(&stream, "images", "loss 5.1, ", Duration::from_secs(10)),
            "150 images, loss 5.1, 10.0 images/s"
        );
        assert_eq!(duration(99.6), "1 min 40 s");
        assert_eq!(duration(7500.0), "2 h 05 min");
    }
}
