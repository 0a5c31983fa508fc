import { LocalEngine } from '../engine/localEngine.ts'
import { ModelRegistry } from '../engine/modelRegistry.ts'
import type { Listener } from '../host/listen.ts'
import { requestedId } from '../hub/resolveModel.ts'
import { DEMO_NOTICE, findModel, loadServedEngine, modelRequest } from './loadEngine.ts'
import type { Log } from './log.ts'
import type { ModelOptions } from './options.ts'
import { createProgress } from './progress.ts'
import { CLOSE_MS, DRAIN_MS, shutdownSignal } from './serverProcess.ts'
import { logThroughput } from './throughput.ts'

export interface ModelServerOptions extends ModelOptions {
  servedModelName?: string
}

/**
 * Binds at once, refuses work while the model loads, drains at the first SIGINT or SIGTERM.
 * @param bind serves the models of a registry
 * @param announce called with the port once the model is ready
 * @returns the exit code
 */
export async function runModelServer(
  options: ModelServerOptions,
  log: Log,
  bind: (registry: ModelRegistry) => Promise<Listener>,
  announce: (port: number) => void,
): Promise<number> {
  const shutdown = shutdownSignal(log)
  const registry = new ModelRegistry()
  const server = await bind(registry)
  log.debug(`bound to port ${server.port}, loading`)
  try {
    const loaded = await Promise.race([load(options, registry, log), shutdown])
    if (loaded === undefined) return 0
    announce(server.port)
    const stopLog = logThroughput(registry, log)
    await shutdown
    stopLog()
    log.info('Shutting down: running requests may finish, new ones are refused.')
    await registry.drain(DRAIN_MS)
    return 0
  } finally {
    await server.close(CLOSE_MS)
    await registry.dispose()
  }
}

/** Registers the model under its name before it loads, so that clients are told to come back. */
async function load(
  options: ModelServerOptions,
  registry: ModelRegistry,
  log: Log,
): Promise<ModelRegistry> {
  const progress = createProgress(process.stderr, log.notice)
  const id = options.servedModelName ?? requestedId(modelRequest(options))
  try {
    await registry.add({ id }, async report => {
      const model = await findModel(options, log, progress)
      if (model.isDefault) log.info(DEMO_NOTICE)
      const engine = await loadServedEngine({ ...model, id }, options, log, progress, report)
      if (engine instanceof LocalEngine) engine.warmUp()
      return engine
    })
    return registry
  } finally {
    progress.stop()
  }
}
