/**
 * How an Engine is spoken to over HTTP. Requests are the job as JSON. A rejection is a status with `{ error }`; acceptance
 * of a job is 200 and NDJSON: first `Accepted` without its events, then one event a line. Empty lines mean nothing but
 * that the engine is alive.
 */
export const enginePaths = {
  generate: '/engine/generate',
  /** GET `/engine/jobs/{id}?after=N[&owner=…]`: as `generate` answers. */
  jobs: '/engine/jobs',
  cancel: '/engine/cancel',
  embed: '/engine/embed',
  tokenize: '/engine/tokenize',
  detokenize: '/engine/detokenize',
  models: '/engine/models',
  load: '/engine/load',
  unload: '/engine/unload',
  metrics: '/engine/metrics',
  system: '/engine/system',
  health: '/engine/health',
} as const

/** Carries the secret that edge and container share. */
export const SECRET_HEADER = 'x-engine-secret'

export const NDJSON_TYPE = 'application/x-ndjson'

/** Longest silence on a stream of events before an empty line is written. */
export const ENGINE_KEEP_ALIVE_MS = 5000

/** Silence after which the other side is taken for lost: a cut cable sends no goodbye. Some heartbeats may be late. */
export const ENGINE_LOST_MS = 3 * ENGINE_KEEP_ALIVE_MS
