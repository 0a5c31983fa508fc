import { EngineError, type GenerateJob } from '../../edge/engine.ts'

/** What a job can be cancelled by. */
export type JobNames = Pick<GenerateJob, 'jobId' | 'requestId' | 'owner'>

interface Admission {
  names: JobNames
  cancel: (error: EngineError) => void
}

/** Jobs that have been given to an engine, which has not answered yet: to be cancelled by name, as those that it runs. */
export class Admissions {
  readonly #open = new Set<Admission>()

  /**
   * Waits for the answer to a job.
   * @param ask is given a signal that aborts when the job is cancelled before it is answered
   * Rejects as `ask` does, and at once with EngineError `cancelled`
   */
  async wait<T>(names: JobNames, ask: (cancelled: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController()
    const { promise: cancelled, reject } = Promise.withResolvers<never>()
    const admission = {
      names,
      cancel(error: EngineError) {
        controller.abort(error)
        // Whoever is asked may take its time: a model that is being loaded, a text that is being tokenized.
        reject(error)
      },
    }
    this.#open.add(admission)
    try {
      return await Promise.race([ask(controller.signal), cancelled])
    } finally {
      this.#open.delete(admission)
    }
  }

  /** @returns whether there was one */
  cancel(id: string, owner: string | undefined): boolean {
    const named = [...this.#open].filter(
      ({ names }) => (names.jobId === id || names.requestId === id) && names.owner === owner,
    )
    for (const { cancel } of named) {
      cancel(new EngineError({ kind: 'cancelled', message: 'The job was cancelled.' }))
    }
    return named.length > 0
  }
}
