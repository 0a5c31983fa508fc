// Fetches the model that is served without `-m`; does nothing when it is there.
import { createLog } from '../runtime/cli/log.ts'
import { createProgress } from '../runtime/cli/progress.ts'
import { DEFAULT_MODEL, ensurePublishedModel } from '../runtime/hub/defaultModel.ts'

const log = createLog('info', process.stderr)
const progress = createProgress(process.stderr, log.info)
try {
  await ensurePublishedModel(DEFAULT_MODEL, {
    log(message) {
      progress.stop()
      log.info(message)
    },
    bytes: (source, done, total) =>
      progress.update(`Downloading from ${source}`, done, total, 'bytes'),
  })
} catch (error) {
  process.stderr.write(`Error: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
} finally {
  progress.stop()
}
