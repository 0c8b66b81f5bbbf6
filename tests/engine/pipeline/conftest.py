"""See that the pipeline's tests leave no thread of a store behind."""

from tests.engine.store.threads import no_thread_left

__all__ = ["no_thread_left"]
