import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ProcessUsage } from './server.ts'

/** A server of the bench and its process. */
export class ServerProcess {
  readonly port: number
  readonly #child: ChildProcess
  #answered: Promise<unknown> = Promise.resolve()

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  /** @param args as `server.ts` takes them */
  static async start(...args: string[]): Promise<ServerProcess> {
    const child = fork(join(import.meta.dirname, 'server.ts'), args, { execArgv: ['--expose-gc'] })
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`bench server ${args[0]} ended with ${code}`)
    })
    ended.catch(() => {})
    const [port] = (await Promise.race([once(child, 'message'), ended])) as [number]
    return new ServerProcess(child, port)
  }

  /** @param collect throws garbage away first: what is left is in use, or was not given back by the allocator */
  usage({ collect = false } = {}): Promise<ProcessUsage> {
    // One question at a time: answers do not say what they answer.
    this.#answered = this.#answered.then(() => this.#ask(collect))
    return this.#answered as Promise<ProcessUsage>
  }

  async #ask(collect: boolean): Promise<ProcessUsage> {
    this.#child.send(collect ? 'collect' : 'usage')
    const [usage] = (await once(this.#child, 'message')) as [ProcessUsage]
    return usage
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit')
    this.#child.disconnect()
    await exit
  }
}
