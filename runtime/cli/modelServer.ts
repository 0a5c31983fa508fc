import { isDeviceLost } from '../engine/deviceLoss.ts'
import { LocalEngine } from '../engine/localEngine.ts'
import { ModelRegistry } from '../engine/modelRegistry.ts'
import type { Listener } from '../host/listen.ts'
import { requestedId } from '../hub/resolveModel.ts'
import { DEMO_NOTICE, findModel, loadServedEngine, modelRequest } from './loadEngine.ts'
import type { Log } from './log.ts'
import type { ModelOptions } from './options.ts'
import { createProgress } from './progress.ts'
import { CLOSE_MS, DRAIN_MS, EXIT_LOST, shutdownSignal } from './serverProcess.ts'
import { logThroughput } from './throughput.ts'

export interface ModelServerOptions extends ModelOptions {
  servedModelName?: string
}

/** What a model server is made of. */
export interface ModelServerParts {
  /** Serves the models of a registry. */
  bind(registry: ModelRegistry): Promise<Listener>
  /** Adds the models, and resolves when they are ready. */
  load(registry: ModelRegistry): Promise<unknown>
  /** Called with the port once the models are ready. */
  announce(port: number): void
}

/** Serves the model of the options, as `runModels` does. */
export function runModelServer(
  options: ModelServerOptions,
  log: Log,
  bind: ModelServerParts['bind'],
  announce: ModelServerParts['announce'],
): Promise<number> {
  return runModels({ bind, load: registry => load(options, registry, log), announce }, log)
}

/**
 * Binds at once, refuses work while models load, drains at the first SIGINT or SIGTERM; ends by itself when only a new process can go on.
 * @returns the exit code
 */
export async function runModels(parts: ModelServerParts, log: Log): Promise<number> {
  const shutdown = shutdownSignal(log)
  const registry = new ModelRegistry()
  const server = await parts.bind(registry)
  log.debug(`bound to port ${server.port}, loading`)
  const lost = registry.lost.then(error => {
    log.error(`Only a new process can go on: ${error.message}`)
    return EXIT_LOST
  })
  try {
    const loaded = await Promise.race([parts.load(registry).then(() => 'ready'), shutdown, lost])
    if (typeof loaded === 'number') return loaded
    if (loaded === undefined) return 0
    parts.announce(server.port)
    const stopLog = logThroughput(registry, log)
    const ended = await Promise.race([shutdown, lost])
    stopLog()
    if (ended !== undefined) return ended
    log.info('Shutting down: running requests may finish, new ones are refused.')
    await registry.drain(DRAIN_MS)
    return 0
  } catch (error) {
    if (isDeviceLost(error)) return await lost
    throw error
  } finally {
    await server.close(CLOSE_MS)
    await registry.dispose()
  }
}

/** Registers the model under its name before it loads, so that clients are told to come back. */
async function load(options: ModelServerOptions, registry: ModelRegistry, log: Log): Promise<void> {
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
  } finally {
    progress.stop()
  }
}
