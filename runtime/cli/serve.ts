import { DetachedJobs } from '../engine/detachedJobs.ts'
import { serveApp } from '../host/serveApp.ts'
import { announceApi } from './announceApi.ts'
import { type HttpOptions, serverOptions } from './httpOptions.ts'
import { createLog } from './log.ts'
import { type ModelServerOptions, runModelServer } from './modelServer.ts'

export interface ServeOptions extends ModelServerOptions, HttpOptions {}

/** `mistralrs serve`: the HTTP API and the model in one process. */
export async function serve(options: ServeOptions): Promise<number> {
  const log = createLog(options.verbose > 0 ? 'debug' : 'info', process.stdout)
  const server = await serverOptions(options, log)
  return runModelServer(
    options,
    log,
    registry => serveApp({ ...server, engine: new DetachedJobs(registry) }),
    port => announceApi(options, port, log),
  )
}
