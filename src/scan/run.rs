//! Works on the messages of a source on several threads, within bounded memory.

use std::{
    collections::BTreeMap,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use crate::{
    base::Result,
    mailbox::{Entry, MessageId, MessageSource, Progress},
};

/// Takes each message out of `source` that is not `done`, works on them on `threads` threads, and gives the results to `take` in the order of the source,
/// with how far the source was read by then.
///
/// The messages that are read and not yet taken have 24 MiB together, or one message more.
///
/// # Errors
///
/// The source cannot be read further; all messages before that were taken. Or that of `take`, after which nothing is taken any more.
pub fn run<T: Send>(
    source: &mut (dyn MessageSource + Send),
    done: &(dyn Fn(&MessageId) -> bool + Sync),
    threads: usize,
    work: &(dyn Fn(Entry) -> T + Sync),
    take: &mut dyn FnMut(T, Progress) -> Result<()>,
) -> Result<()> {
    let gate = Gate::default();
    let is_over = AtomicBool::new(false);
    let (jobs, queue) = mpsc::channel::<Job>();
    let queue = Mutex::new(queue);
    let (results, finished) = mpsc::channel::<Finished<T>>();
    thread::scope(|scope| {
        let (gate, queue, is_over) = (&gate, &queue, &is_over);
        let reader = scope.spawn(move || read(source, done, gate, is_over, &jobs));
        for _ in 0..threads.max(1) {
            let results = results.clone();
            scope.spawn(move || work_on(queue, is_over, work, &results));
        }
        drop(results);
        let taken = give_out(&finished, gate, take).inspect_err(|_| {
            is_over.store(true, Ordering::Relaxed);
            gate.open();
        });
        // A panic of the reader is passed on when the scope ends.
        let read = reader.join().unwrap_or(Ok(()));
        taken.and(read)
    })
}

/// A message on its way to a worker.
struct Job {
    number: u64,
    entry: Entry,
    octets: usize,
    progress: Progress,
}

/// What a worker made of it.
struct Finished<T> {
    number: u64,
    result: T,
    octets: usize,
    progress: Progress,
}

fn read(
    source: &mut (dyn MessageSource + Send),
    done: &(dyn Fn(&MessageId) -> bool + Sync),
    gate: &Gate,
    is_over: &AtomicBool,
    jobs: &Sender<Job>,
) -> Result<()> {
    let mut number = 0;
    while let Some(entry) = source.next(done)? {
        let octets = entry.content.as_ref().map_or(0, Vec::len);
        gate.enter(octets);
        let job = Job { number, entry, octets, progress: source.progress() };
        if is_over.load(Ordering::Relaxed) || jobs.send(job).is_err() {
            break;
        }
        number += 1;
    }
    Ok(())
}

fn work_on<T>(
    queue: &Mutex<Receiver<Job>>,
    is_over: &AtomicBool,
    work: &(dyn Fn(Entry) -> T + Sync),
    results: &Sender<Finished<T>>,
) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { number, entry, octets, progress }) = job else { return };
        if is_over.load(Ordering::Relaxed) {
            continue;
        }
        if results.send(Finished { number, result: work(entry), octets, progress }).is_err() {
            return;
        }
    }
}

/// Gives results out in order. Those that are early wait; they are among the messages that the gate counts.
fn give_out<T>(
    finished: &Receiver<Finished<T>>,
    gate: &Gate,
    take: &mut dyn FnMut(T, Progress) -> Result<()>,
) -> Result<()> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for result in finished {
        early.insert(result.number, result);
        while let Some(Finished { result, octets, progress, .. }) = early.remove(&next) {
            next += 1;
            take(result, progress)?;
            gate.leave(octets);
        }
    }
    Ok(())
}

/// Lets messages in while there is room for them.
#[derive(Default)]
struct Gate {
    inside: Mutex<Inside>,
    left: Condvar,
}

#[derive(Default)]
struct Inside {
    messages: usize,
    octets: usize,
    is_open: bool,
}

impl Gate {
    /// Waits until there is room. A message that is larger than all the room comes in alone.
    fn enter(&self, octets: usize) {
        let mut inside = self.lock();
        while !inside.is_open
            && inside.messages > 0
            && (inside.messages >= MAX_MESSAGES || inside.octets.saturating_add(octets) > MAX_OCTETS)
        {
            inside = self.left.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
        inside.messages += 1;
        inside.octets = inside.octets.saturating_add(octets);
    }

    fn leave(&self, octets: usize) {
        let mut inside = self.lock();
        inside.messages = inside.messages.saturating_sub(1);
        inside.octets = inside.octets.saturating_sub(octets);
        self.left.notify_one();
    }

    /// Nothing waits any more.
    fn open(&self) {
        self.lock().is_open = true;
        self.left.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages that are read and not yet taken. Source: enough that no core waits for another.
const MAX_MESSAGES: usize = 1024;
/// Octets of them. Source: DESIGN asks for less than 200 MiB in all, and opening a message takes a few times its length.
const MAX_OCTETS: usize = 24 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Error, mailbox::State};

    struct Numbers {
        next: usize,
        end: usize,
        length: usize,
    }

    impl MessageSource for Numbers {
        fn name(&self) -> &str {
            "numbers"
        }

        fn next(&mut self, done: &dyn Fn(&MessageId) -> bool) -> Result<Option<Entry>> {
            while self.next < self.end {
                self.next += 1;
                let id = MessageId::new(self.next.to_string());
                if !done(&id) {
                    let content = Ok(vec![0; self.length]);
                    return Ok(Some(Entry { id, content, state: State::default() }));
                }
            }
            if self.end == usize::MAX { Ok(None) } else { Err(Error::unavailable("numbers: gone")) }
        }

        fn progress(&self) -> Progress {
            Progress { done: self.next as u64, total: None }
        }
    }

    #[test]
    fn results_come_in_order_and_an_error_after_them() {
        let mut source = Numbers { next: 0, end: 3000, length: 10 };
        let mut taken = Vec::new();
        let work = |entry: Entry| entry.id.as_str().parse::<usize>().unwrap();
        let done = |id: &MessageId| id.as_str().ends_with('7');
        let ran = run(&mut source, &done, 4, &work, &mut |number, _| {
            taken.push(number);
            Ok(())
        });
        assert_eq!(ran, Err(Error::unavailable("numbers: gone")));
        assert_eq!(taken, (1..=3000).filter(|number| number % 10 != 7).collect::<Vec<_>>());
    }

    #[test]
    fn messages_wait_outside_while_there_is_no_room() {
        let (inside, most) = (Mutex::new(0_usize), Mutex::new(0_usize));
        let mut source = Numbers { next: 0, end: 60, length: MAX_OCTETS / 4 };
        let work = |entry: Entry| {
            let mut inside = inside.lock().unwrap();
            *inside += entry.content.unwrap().len();
            let mut most = most.lock().unwrap();
            *most = (*most).max(*inside);
        };
        let _ = run(&mut source, &|_| false, 2, &work, &mut |(), _| {
            *inside.lock().unwrap() -= MAX_OCTETS / 4;
            Ok(())
        });
        assert!(*most.lock().unwrap() <= MAX_OCTETS, "{most:?}");
    }

    #[test]
    fn an_error_of_the_taker_ends_it() {
        let mut source = Numbers { next: 0, end: usize::MAX, length: 10 };
        let mut taken = 0;
        let ran = run(&mut source, &|_| false, 2, &|_| (), &mut |(), _| {
            taken += 1;
            if taken < 100 { Ok(()) } else { Err(Error::unavailable("full")) }
        });
        assert_eq!((ran, taken), (Err(Error::unavailable("full")), 100));
    }
}
