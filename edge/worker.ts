import type { ExecutionContext } from 'hono'
import { parseKeyEntries } from './access/keyEntries.ts'
import { createApp } from './app.ts'
import type { AppDeps } from './deps.ts'
import { randomId } from './http/randomId.ts'
import { RemoteEngine } from './remote/remoteEngine.ts'
import { RoutedEngine } from './remote/routedEngine.ts'
import {
  createDurableResponseStore,
  type ObjectNamespace,
} from './responseStore/durableResponseStore.ts'

/** Variables and secrets of the Worker. Lists are separated by white space or commas. */
export interface WorkerEnv {
  /** Addresses of containers, at least one. */
  UPSTREAMS?: string
  /** What the containers were given with --secret-file. */
  ENGINE_SECRET?: string
  /** Keys of clients; absent: any key, and none, is accepted. */
  API_KEYS?: string
  /** The JSON list of hashed keys with what each may do. */
  API_KEYS_JSON?: string
  /** Origins of browser apps; absent: any. */
  CORS_ORIGINS?: string
  /** Names of the Worker, for DNS rebinding's sake; absent: any, since only its own lead to it. */
  ALLOWED_HOSTS?: string
  /** Largest request body; default 50 MiB. */
  MAX_BODY_BYTES?: string
  /** Milliseconds of silence on a stream before a comment is sent; default 10,000. */
  KEEP_ALIVE_INTERVAL?: string
  /** `true`: OpenAI's defaults where this server's differ. */
  STRICT_OPENAI?: string
  /** Keeps stored responses; absent: each isolate keeps its own, for as long as it lives. */
  RESPONSES?: ObjectNamespace
  /** Static files of pages; absent: there is no /docs. */
  ASSETS?: { fetch(url: string): Promise<Response> }
}

interface FetchHandler {
  fetch(request: Request, env: WorkerEnv, context: ExecutionContext): Response | Promise<Response>
}

/** The runtime hands out one environment per isolate; what the app knows of its containers lives as long. */
const apps = new WeakMap<WorkerEnv, FetchHandler>()

export { StoredResponseObject } from './responseStore/storedResponseObject.ts'

/** The edge app as a Cloudflare Worker. */
export default {
  async fetch(request: Request, env: WorkerEnv, context: ExecutionContext): Promise<Response> {
    let app = apps.get(env)
    if (app === undefined) {
      app = appFor(env)
      apps.set(env, app)
    }
    const response = Promise.resolve(app.fetch(request, env, context))
    // A request whose client leaves is cut off at once otherwise, before it can be logged.
    context.waitUntil(response)
    return response
  },
}

function appFor(env: WorkerEnv): FetchHandler {
  const upstreams = list(env.UPSTREAMS)
  if (upstreams.length === 0) throw new Error('The variable UPSTREAMS names no container.')
  const secret = env.ENGINE_SECRET
  const keys = list(env.API_KEYS)
  // Left empty by mistake it must not let everybody in.
  if (env.API_KEYS !== undefined && keys.length === 0) {
    throw new Error('The variable API_KEYS names no key.')
  }
  const engine = new RoutedEngine(
    upstreams.map(url => ({
      name: url,
      engine: new RemoteEngine({
        url,
        fetch: (target, init) => fetch(target, init),
        ...(secret !== undefined && { secret }),
      }),
    })),
  )
  const origins = list(env.CORS_ORIGINS)
  const hosts = list(env.ALLOWED_HOSTS)
  return createApp({
    engine,
    ...(env.RESPONSES && { responses: createDurableResponseStore(env.RESPONSES) }),
    ...(env.ASSETS && { assets: assetsOf(env.ASSETS) }),
    limits: { maxBodyBytes: positive('MAX_BODY_BYTES', env.MAX_BODY_BYTES, 50 * 2 ** 20) },
    cors: { origins: origins.length > 0 ? origins : ['*'] },
    hosts: hosts.length > 0 ? hosts : ['*'],
    auth: {
      apiKeys: keys,
      entries: env.API_KEYS_JSON === undefined ? [] : parseKeyEntries(env.API_KEYS_JSON),
    },
    clock: Date.now,
    newId: () => randomId(),
    keepAliveMs: positive('KEEP_ALIVE_INTERVAL', env.KEEP_ALIVE_INTERVAL, 10_000),
    strictOpenai: env.STRICT_OPENAI === 'true',
    // Where Workers look for logs: one JSON object a line.
    log: entry =>
      console.log(
        JSON.stringify(
          entry.event === 'internal_error' ? { ...entry, error: describe(entry.error) } : entry,
        ),
      ),
  })
}

function assetsOf(binding: NonNullable<WorkerEnv['ASSETS']>): NonNullable<AppDeps['assets']> {
  return async path => {
    // The binding needs some host in the URL, and looks at the path alone.
    const response = await binding.fetch(`https://assets${path}`)
    return response.ok ? response : undefined
  }
}

function list(text = ''): string[] {
  return text.split(/[\s,]+/).filter(Boolean)
}

function positive(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new Error(`The variable ${name} must be a positive integer, not ${text}.`)
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
