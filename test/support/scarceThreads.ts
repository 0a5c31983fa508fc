import type { WorkerOptions } from 'node:worker_threads'

type Threads = typeof import('node:worker_threads')

/** Whether the system has threads left for a new worker. */
export const threads = { areLeft: true }

/** `node:worker_threads` for `vi.mock`, whose workers cannot start without threads: their constructor throws, as Node's does. */
export async function scarceThreads(original: () => Promise<Threads>): Promise<Threads> {
  const actual = await original()
  class ScarceWorker extends actual.Worker {
    constructor(file: string | URL, options?: WorkerOptions) {
      if (!threads.areLeft) throw new Error('ERR_WORKER_INIT_FAILED: EAGAIN')
      super(file, options)
    }
  }
  return { ...actual, Worker: ScarceWorker }
}
