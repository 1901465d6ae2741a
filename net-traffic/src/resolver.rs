//! The names of remote hosts, asked of the system's resolver in the background.
//!
//! Whoever asks never waits: a few threads do, each for one answer. Questions, threads and what is remembered are
//! bounded, so that a resolver that never answers costs names and nothing else.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dns_lookup::{LookupErrorKind, lookup_addr};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a resolver says of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Name(String),
    /// It has none.
    Nameless,
    /// Nobody could tell now.
    Unknown,
}

type Resolve = dyn Fn(IpAddr) -> Answer + Send + Sync;

/// Asks for names and remembers for whom it did.
#[derive(Debug)]
pub(crate) struct Names {
    asked: HashMap<IpAddr, Asked>,
    questions: SyncSender<IpAddr>,
    answers: UnboundedReceiver<(IpAddr, Answer)>,
    arrived: Vec<(IpAddr, Answer)>,
    waiting: usize,
    round: u64,
}

/// When an address was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// The answer holds until then, on the clock of the snapshots; `None` while there is no answer.
    until_ns: Option<u64>,
    /// The last round in which somebody wanted to know.
    round: u64,
}

/// More would not make a resolver faster that has to ask elsewhere.
const THREADS: usize = 4;
/// Questions that wait for a thread. What finds no room is asked again with the next snapshot.
const QUESTIONS: usize = 256;
/// Addresses that are remembered.
pub(crate) const MOST: usize = 10_000;
/// After one answer, others follow soon: they are taken together.
const PAUSE: Duration = Duration::from_millis(250);

impl Names {
    /// Asks the system: its hosts file, its name servers, whatever it is set up for.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn of_system() -> io::Result<Self> {
        Self::with(ask_system)
    }

    /// Asks whom the caller names; that one may take its time.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn with(resolve: impl Fn(IpAddr) -> Answer + Send + Sync + 'static) -> io::Result<Self> {
        let resolve: Arc<Resolve> = Arc::new(resolve);
        let (questions, to_answer) = sync_channel(QUESTIONS);
        let (answer, answers) = unbounded_channel();
        let to_answer = Arc::new(Mutex::new(to_answer));
        for _ in 0..THREADS {
            let (to_answer, answer) = (Arc::clone(&to_answer), answer.clone());
            let resolve = Arc::clone(&resolve);
            // It ends with the sender; one that waits for an answer by then ends with the program.
            std::thread::Builder::new()
                .name("names".to_owned())
                .spawn(move || work(&to_answer, &answer, &*resolve))?;
        }
        let asked = HashMap::new();
        Ok(Self { asked, questions, answers, arrived: Vec::new(), waiting: 0, round: 0 })
    }

    /// Asks for those of the addresses that were not asked for, or not lately. `now_ns` is the snapshot's time.
    pub(crate) fn ask(&mut self, addresses: impl IntoIterator<Item = IpAddr>, now_ns: u64) {
        self.round += 1;
        for address in addresses {
            let round = self.round;
            if let Some(asked) = self.asked.get_mut(&address) {
                asked.round = round;
                if asked.until_ns.is_none_or(|until| now_ns < until) {
                    continue;
                }
            } else if self.asked.len() >= MOST && !self.forget() {
                return;
            }
            if self.questions.try_send(address).is_err() {
                return;
            }
            self.asked.insert(address, Asked { until_ns: None, round });
            self.waiting += 1;
        }
    }

    /// The names that came since the last call. `now_ns` is the snapshot's time.
    pub(crate) fn take(&mut self, now_ns: u64) -> Vec<(IpAddr, String)> {
        while let Ok(answer) = self.answers.try_recv() {
            self.arrived.push(answer);
        }
        let mut names = Vec::new();
        for (address, answer) in std::mem::take(&mut self.arrived) {
            self.waiting = self.waiting.saturating_sub(1);
            if let Some(asked) = self.asked.get_mut(&address) {
                asked.until_ns = Some(now_ns.saturating_add(holds_ns(&answer)));
            }
            if let Answer::Name(name) = answer {
                names.push((address, name));
            }
        }
        names
    }

    /// Whether questions are without an answer.
    #[must_use]
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Returns once there is something to take.
    pub(crate) async fn arrived(&mut self) {
        if self.arrived.is_empty() {
            let answer = self.answers.recv().await;
            self.arrived.extend(answer);
        }
        tokio::time::sleep(PAUSE).await;
    }

    /// Returns once every question has its answer, or after so long.
    pub(crate) async fn all_arrived(&mut self, patience: Duration) {
        let all = async {
            while self.arrived.len() < self.waiting {
                match self.answers.recv().await {
                    Some(answer) => self.arrived.push(answer),
                    None => return,
                }
            }
        };
        // Whoever does not answer in time is shown as a number.
        let _late = tokio::time::timeout(patience, all).await;
    }

    /// Forgets whom nobody asked for in this round or the one before; says whether that made room.
    fn forget(&mut self) -> bool {
        let round = self.round;
        self.asked.retain(|_, asked| asked.until_ns.is_none() || asked.round + 1 >= round);
        self.asked.len() < MOST
    }
}

/// How long an answer holds. Names change seldom; a name server that failed may be back soon.
fn holds_ns(answer: &Answer) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    match answer {
        Answer::Name(_) => 3600 * SECOND,
        Answer::Nameless => 300 * SECOND,
        Answer::Unknown => 30 * SECOND,
    }
}

fn work(questions: &Mutex<Receiver<IpAddr>>, answers: &UnboundedSender<(IpAddr, Answer)>, resolve: &Resolve) {
    loop {
        let question = questions.lock().map(|questions| questions.recv());
        let Ok(Ok(address)) = question else { return };
        if answers.send((address, resolve(address))).is_err() {
            return;
        }
    }
}

fn ask_system(address: IpAddr) -> Answer {
    match lookup_addr(&address) {
        Ok(name) => Answer::Name(name),
        Err(error) => match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Answer::Nameless,
            _ => Answer::Unknown,
        },
    }
}

#[cfg(test)]
mod tests;
