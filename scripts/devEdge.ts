// `npm run dev:edge`: the Worker in workerd on port 8787 (PORT), in front of http://127.0.0.1:8443 (UPSTREAMS).
// Its other variables are taken from the environment too.
import type { WorkerEnv } from '../edge/worker.ts'
import { copyWorkerAssets } from './workerAssets.ts'
import { bundleWorker } from './workerBundle.ts'
import { startWorkerd } from './workerd.ts'

const { PORT = '8787', UPSTREAMS = 'http://127.0.0.1:8443' } = process.env
const variables = [
  'ENGINE_SECRET',
  'API_KEYS',
  'API_KEYS_JSON',
  'CORS_ORIGINS',
  'ALLOWED_HOSTS',
  'MAX_BODY_BYTES',
  'KEEP_ALIVE_INTERVAL',
  'STRICT_OPENAI',
] as const satisfies (keyof WorkerEnv)[]
const env: WorkerEnv = { UPSTREAMS }
for (const name of variables) {
  const value = process.env[name]
  if (value !== undefined) env[name] = value
}

const { code } = await bundleWorker()
const { port, close } = await startWorkerd({
  code,
  env,
  assets: copyWorkerAssets(),
  port: Number(PORT),
  onLine: console.log,
})
console.log(`Worker listening on http://127.0.0.1:${port}, for ${UPSTREAMS}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, async () => {
    await close()
    process.exit(0)
  })
}
