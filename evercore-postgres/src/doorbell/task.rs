//! A task in the background.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time::timeout};

use super::FAREWELL;

/// A task that begins with the first signal, and is to end when this is dropped or closed. It sees both at its end
/// of a channel: a signal as a change, of which several may be seen as one, and the end as the channel's.
#[derive(Default)]
pub(crate) struct Task(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Running {
        signals: watch::Sender<()>,
        work: JoinHandle<()>,
    },
    Closed,
}

impl Task {
    /// Signals the task, and starts it if it does not run: because it was not needed before, or the runtime that it
    /// ran in is gone. Outside of a runtime it cannot start.
    pub(crate) fn signal<F>(&self, work: impl FnOnce(watch::Receiver<()>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.state();
        match &*state {
            State::Closed => return,
            State::Running { signals, work } if !work.is_finished() => {
                signals.send_replace(());
                return;
            }
            State::Idle | State::Running { .. } => {}
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (signals, received) = watch::channel(());
        signals.send_replace(());
        *state = State::Running { signals, work: runtime.spawn(work(received)) };
    }

    /// Lets the task end, for which it has a moment.
    pub(crate) async fn close(&self) {
        let state = mem::replace(&mut *self.state(), State::Closed);
        let State::Running { signals, mut work } = state else { return };
        drop(signals);
        if timeout(FAREWELL, &mut work).await.is_err() {
            work.abort();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
