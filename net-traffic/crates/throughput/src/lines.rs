//! Converts the lines of riperf3's output to events. Pure.

use super::columns::Columns;
use super::document::as_iperf3_has_it;
use super::end_observer::EndObserver;
use crate::Event;

/// The parser of a client's or a server's output.
#[derive(Debug, Default)]
pub(super) struct Lines {
    observer: EndObserver,
    stage: Stage,
    columns: Columns,
    /// The previous line was a rule.
    rule: bool,
    /// The lines of an incomplete JSON object.
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
    pub(super) fn new(observer: EndObserver) -> Self {
        Self { observer, ..Self::default() }
    }

    /// Whether the streams are connected and move data.
    pub(super) fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    pub(super) fn push(&mut self, line: &str, mut emit: impl FnMut(Event)) {
        if let Some(document) = &mut self.document {
            document.push('\n');
            document.push_str(line);
            if line == "}" {
                self.stop(&mut emit);
                emit(Event::Document(as_iperf3_has_it(
                    &self.document.take().unwrap_or_default(),
                    self.observer,
                )));
                self.finish(&mut emit);
            }
        } else if line == "{" {
            self.document = Some(line.to_owned());
        } else if let Some(event) = line.strip_prefix(r#"{"event":""#) {
            self.streamed(event, &mut emit);
        } else {
            self.text(line, &mut emit);
        }
    }

    /// The output has ended.
    pub(super) fn end(&mut self, mut emit: impl FnMut(Event)) {
        self.finish(&mut emit);
    }

    fn text(&mut self, line: &str, emit: &mut impl FnMut(Event)) {
        // A rule also follows the sums of each interval.
        let after_rule = std::mem::replace(&mut self.rule, line.starts_with("- - -"));
        if after_rule && line.starts_with("[ ID]") {
            self.stop(emit);
        } else if self.observer.is_local() && line.starts_with("-----") && self.stage != Stage::Idle {
            self.finish(emit);
        }
        if self.stage == Stage::Summary
            && let Some((lost, sent)) = datagrams(line)
        {
            emit(Event::Datagrams { lost, sent });
        }
        let started = line.starts_with('[') && line.contains(" connected to ") && self.stage == Stage::Idle;
        emit(Event::Line(self.columns.set(line, self.observer)));
        if started {
            self.start(emit);
        }
    }

    /// A line of `{"event":"start","data":…}`, without its beginning.
    fn streamed(&mut self, event: &str, emit: &mut impl FnMut(Event)) {
        if event.starts_with("start\"") {
            self.start(emit);
        } else if event.starts_with("end\"") {
            self.stop(emit);
        }
    }

    fn start(&mut self, emit: &mut impl FnMut(Event)) {
        if self.stage == Stage::Idle {
            self.stage = Stage::Running;
            emit(Event::Started);
        }
    }

    fn stop(&mut self, emit: &mut impl FnMut(Event)) {
        if self.stage == Stage::Running {
            self.stage = Stage::Summary;
            emit(Event::Stopped);
        }
    }

    fn finish(&mut self, emit: &mut impl FnMut(Event)) {
        if self.stage != Stage::Idle {
            self.stop(emit);
            self.stage = Stage::Idle;
            emit(Event::Finished);
        }
    }
}

/// `… 0.011 ms  7/1730 (0.4%)  receiver`. The sum of all streams comes last.
fn datagrams(line: &str) -> Option<(u64, u64)> {
    let counts = line.trim_end().strip_suffix("receiver")?.split_once('(')?.0;
    let (lost, sent) = counts.split_whitespace().last()?.split_once('/')?;
    Some((lost.parse().ok()?, sent.parse().ok()?))
}

/// A line of standard error, without riperf3's name.
pub(super) fn message(line: &str) -> Event {
    Event::Message(line.strip_prefix("riperf3: ").unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: EndObserver = EndObserver::Remote { after_time: true };

    fn events(observer: EndObserver, text: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let mut lines = Lines::new(observer);
        text.lines().for_each(|line| lines.push(line, |event| events.push(event)));
        lines.end(|event| events.push(event));
        events.retain(|event| !matches!(event, Event::Line(_)));
        events
    }

    #[test]
    fn server_reports_consecutive_tests() {
        let test = "[  5] local 1.2.3.4 port 5201 connected to 1.2.3.5 port 5\n\
                    [  8] local 1.2.3.4 port 5201 connected to 1.2.3.5 port 6\n\
                    [  5] 0.00-1.00 sec\n- - -\n[  5] 1.00-2.00 sec\n- - - - -\n[ ID] Interval\n[  5] 0.00-1.00 sec receiver\n";
        let banner = "--------------\nServer listening on 5201\n--------------\n";
        let observer = events(EndObserver::Local, &format!("{banner}{test}{banner}{test}"));
        let one = [Event::Started, Event::Stopped, Event::Finished];
        assert_eq!(observer, [one.clone(), one].concat());
    }

    #[test]
    fn lost_datagrams_come_from_the_summary() {
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
    fn test_without_streams_has_no_events() {
        assert_eq!(events(EndObserver::Local, "-----\nServer listening on 1\n-----\n-----\n"), []);
    }

    #[test]
    fn json_server_emits_start_and_document() {
        let text = "{\"event\":\"start\",\"data\":{}}\n{\"event\":\"interval\",\"data\":{}}\n\
                    {\"event\":\"end\",\"data\":{}}\n{\n  \"start\": {\n  }\n}\n";
        let whole = Event::Document("{\n  \"start\": {\n  }\n}".to_owned());
        assert_eq!(
            events(EndObserver::Local, text),
            [Event::Started, Event::Stopped, whole, Event::Finished]
        );
    }

    #[test]
    fn messages_drop_the_riperf3_prefix() {
        assert_eq!(message("riperf3: error - x"), Event::Message("error - x".to_owned()));
        assert_eq!(message("x"), Event::Message("x".to_owned()));
    }
}
