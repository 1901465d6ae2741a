//! What a line of the test's output means. Pure: lines in, events out.

use super::columns::Columns;
use super::document::as_iperf3_has_it;
use super::served::Told;
use crate::Event;

/// Follows the output of a client or a server.
#[derive(Debug, Default)]
pub(super) struct Lines {
    told: Told,
    stage: Stage,
    columns: Columns,
    /// The line before was a rule.
    rule: bool,
    /// The lines of a JSON object that is not complete yet.
    document: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    Running,
    Summary,
}

impl Lines {
    pub(super) fn new(told: Told) -> Self {
        Self { told, ..Self::default() }
    }

    /// Whether the streams are connected and move data.
    pub(super) fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    pub(super) fn take(&mut self, line: &str, mut tell: impl FnMut(Event)) {
        if let Some(document) = &mut self.document {
            document.push('\n');
            document.push_str(line);
            if line == "}" {
                self.stop(&mut tell);
                tell(Event::Document(as_iperf3_has_it(&self.document.take().unwrap_or_default(), self.told)));
                self.finish(&mut tell);
            }
        } else if line == "{" {
            self.document = Some(line.to_owned());
        } else if let Some(event) = line.strip_prefix(r#"{"event":""#) {
            self.streamed(event, &mut tell);
        } else {
            self.text(line, &mut tell);
        }
    }

    /// The output has ended.
    pub(super) fn end(&mut self, mut tell: impl FnMut(Event)) {
        self.finish(&mut tell);
    }

    fn text(&mut self, line: &str, tell: &mut impl FnMut(Event)) {
        // The same rule stands below the sums of each interval.
        let after_rule = std::mem::replace(&mut self.rule, line.starts_with("- - -"));
        if after_rule && line.starts_with("[ ID]") {
            self.stop(tell);
        } else if self.told.is_us() && line.starts_with("-----") && self.stage != Stage::Idle {
            self.finish(tell);
        }
        if self.stage == Stage::Summary
            && let Some((lost, sent)) = datagrams(line)
        {
            tell(Event::Datagrams { lost, sent });
        }
        let started = line.starts_with('[') && line.contains(" connected to ") && self.stage == Stage::Idle;
        tell(Event::Line(self.columns.set(line, self.told)));
        if started {
            self.start(tell);
        }
    }

    /// A line of `{"event":"start","data":…}`, without its beginning.
    fn streamed(&mut self, event: &str, tell: &mut impl FnMut(Event)) {
        if event.starts_with("start\"") {
            self.start(tell);
        } else if event.starts_with("end\"") {
            self.stop(tell);
        }
    }

    fn start(&mut self, tell: &mut impl FnMut(Event)) {
        if self.stage == Stage::Idle {
            self.stage = Stage::Running;
            tell(Event::Started);
        }
    }

    fn stop(&mut self, tell: &mut impl FnMut(Event)) {
        if self.stage == Stage::Running {
            self.stage = Stage::Summary;
            tell(Event::Stopped);
        }
    }

    fn finish(&mut self, tell: &mut impl FnMut(Event)) {
        if self.stage != Stage::Idle {
            self.stop(tell);
            self.stage = Stage::Idle;
            tell(Event::Finished);
        }
    }
}

/// `… 0.011 ms  7/1730 (0.4%)  receiver`; the line of all streams together comes last.
fn datagrams(line: &str) -> Option<(u64, u64)> {
    let counts = line.trim_end().strip_suffix("receiver")?.split_once('(')?.0;
    let (lost, sent) = counts.split_whitespace().last()?.split_once('/')?;
    Some((lost.parse().ok()?, sent.parse().ok()?))
}

/// A line of standard error, in this program's name.
pub(super) fn message(line: &str) -> Event {
    Event::Message(line.strip_prefix("riperf3: ").unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Told = Told::Server { after_time: true };

    fn events(told: Told, text: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let mut lines = Lines::new(told);
        text.lines().for_each(|line| lines.take(line, |event| events.push(event)));
        lines.end(|event| events.push(event));
        events.retain(|event| !matches!(event, Event::Line(_)));
        events
    }

    #[test]
    fn a_server_in_text_serves_one_test_after_the_other() {
        let test = "[  5] local 1.2.3.4 port 5201 connected to 1.2.3.5 port 5\n\
                    [  8] local 1.2.3.4 port 5201 connected to 1.2.3.5 port 6\n\
                    [  5] 0.00-1.00 sec\n- - -\n[  5] 1.00-2.00 sec\n- - - - -\n[ ID] Interval\n[  5] 0.00-1.00 sec receiver\n";
        let banner = "--------------\nServer listening on 5201\n--------------\n";
        let told = events(Told::Us, &format!("{banner}{test}{banner}{test}"));
        let one = [Event::Started, Event::Stopped, Event::Finished];
        assert_eq!(told, [one.clone(), one].concat());
    }

    #[test]
    fn lost_datagrams_are_read_from_the_summary_alone() {
        let text = "[  5] local 1.2.3.4 port 5201 connected to 1.2.3.5 port 5\n\
                    [  5]   0.00-1.00   sec   611 KBytes  5.00 Mbits/sec  0.003 ms  9/432 (2.1%)  receiver\n\
                    - - - - -\n[ ID] Interval\n\
                    [  5]   0.00-1.00   sec   611 KBytes  5.00 Mbits/sec  0.000 ms  0/432 (0%)  sender\n\
                    [  5]   0.00-1.00   sec   604 KBytes  4.95 Mbits/sec  0.003 ms  5/432 (1.2%)  receiver\n";
        let datagrams = Event::Datagrams { lost: 5, sent: 432 };
        assert_eq!(events(CLIENT, text), [Event::Started, Event::Stopped, datagrams, Event::Finished]);
        assert_eq!(super::datagrams("[  5]   0.00-1.00   sec  1.16 GBytes  9.95 Gbits/sec   receiver"), None);
    }

    #[test]
    fn a_test_without_streams_never_started() {
        assert_eq!(events(Told::Us, "-----\nServer listening on 1\n-----\n-----\n"), []);
    }

    #[test]
    fn a_server_in_json_tells_the_start_and_the_whole() {
        let text = "{\"event\":\"start\",\"data\":{}}\n{\"event\":\"interval\",\"data\":{}}\n\
                    {\"event\":\"end\",\"data\":{}}\n{\n  \"start\": {\n  }\n}\n";
        let whole = Event::Document("{\n  \"start\": {\n  }\n}".to_owned());
        assert_eq!(events(Told::Us, text), [Event::Started, Event::Stopped, whole, Event::Finished]);
    }

    #[test]
    fn messages_are_said_in_our_name() {
        assert_eq!(message("riperf3: error - x"), Event::Message("error - x".to_owned()));
        assert_eq!(message("x"), Event::Message("x".to_owned()));
    }
}
