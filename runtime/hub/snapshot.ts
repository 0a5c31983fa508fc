import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { downloadFileToCacheDir, HubApiError, listFiles, modelInfo } from '@huggingface/hub'
import type { DefaultModelProgress } from './defaultModel.ts'
import { hubCacheFolder, hubEndpoint, hubOffline, hubToken } from './hubEnvironment.ts'

/** What a model needs to run; published repositories also hold pictures, other formats and duplicates. */
const CONFIG_FILES =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map)\.json$/
const TEMPLATE_FILES = /^chat_template\.(jinja|json)$/
const WEIGHT_FILES = /^(model.*\.safetensors|model\.safetensors\.index\.json)$/

/** Downloads at a time; the large files of a model are few. */
const PARALLEL = 4

export interface SnapshotRequest {
  /** organisation/name */
  model: string
  /** One GGUF file of the repository instead of its safetensors. */
  file?: string
  revision?: string
}

/**
 * A hub repository in the cache that huggingface-cli uses too; only what is missing is downloaded.
 * @returns the snapshot folder, or the path of `file` in it
 * @throws Error naming repository, revision and what the hub said
 */
export async function snapshotModel(
  request: SnapshotRequest,
  progress: DefaultModelProgress,
): Promise<string> {
  const { model, file, revision = 'main' } = request
  const inSnapshot = (commit: string) => {
    const folder = join(repositoryFolder(model), 'snapshots', commit)
    return file === undefined ? folder : join(folder, file)
  }
  const cached = await cachedCommit(model, revision)
  if (hubOffline()) {
    if (cached !== undefined && (await exists(inSnapshot(cached)))) return inSnapshot(cached)
    throw new Error(
      `${file ?? 'the model'} of ${model} at revision ${revision} is not in the cache ` +
        `${hubCacheFolder()}, and offline mode is on (HF_HUB_OFFLINE)`,
    )
  }
  try {
    const commit = await download(request, revision, progress)
    await rememberCommit(model, revision, commit)
    return inSnapshot(commit)
  } catch (error) {
    if (error instanceof HubApiError) throw new Error(hubMessage(model, error), { cause: error })
    if (cached !== undefined && (await exists(inSnapshot(cached)))) {
      progress.log(`The hub could not be reached (${reason(error)}); using the cached ${model}.`)
      return inSnapshot(cached)
    }
    throw new Error(`${model} could not be fetched from ${hubEndpoint()}: ${reason(error)}`, {
      cause: error,
    })
  }
}

async function download(
  { model, file }: SnapshotRequest,
  revision: string,
  progress: DefaultModelProgress,
): Promise<string> {
  const accessToken = await hubToken()
  const common = {
    hubUrl: hubEndpoint(),
    ...(accessToken !== undefined && { accessToken }),
  }
  const { sha } = await modelInfo({ ...common, name: model, revision, additionalFields: ['sha'] })
  const wanted: { path: string; size: number }[] = []
  for await (const entry of listFiles({ ...common, repo: model, revision: sha })) {
    if (entry.type !== 'file') continue
    const need =
      file === undefined
        ? [CONFIG_FILES, TEMPLATE_FILES, WEIGHT_FILES].some(pattern => pattern.test(entry.path))
        : entry.path === file
    if (need) wanted.push({ path: entry.path, size: entry.size })
  }
  if (wanted.length === 0) throw new Error(`the repository has no ${file ?? 'model files'}`)

  const total = wanted.reduce((sum, entry) => sum + entry.size, 0)
  let done = 0
  const countingFetch: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (response.body === null || !/\/resolve\//.test(String(input))) return response
    const counted = response.body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          done += chunk.length
          progress.bytes(model, Math.min(done, total), total)
          controller.enqueue(chunk)
        },
      }),
    )
    return new Response(counted, response)
  }
  const queue = [...wanted].sort((a, b) => b.size - a.size)
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      await downloadFileToCacheDir({
        ...common,
        repo: model,
        path: next.path,
        revision: sha,
        cacheDir: hubCacheFolder(),
        fetch: countingFetch,
      })
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
  return sha
}

/** 401 and 403 are what a newcomer meets first: say which page to open and what to set. */
function hubMessage(model: string, error: HubApiError): string {
  const page = `${hubEndpoint()}/${model}`
  if (error.statusCode === 401 || error.statusCode === 403) {
    return (
      `no access to ${model} (HTTP ${error.statusCode}). If the model is gated, open ${page} and accept its terms; ` +
      'then log in with `huggingface-cli login` or set HF_TOKEN'
    )
  }
  if (error.statusCode === 404) return `${page} does not exist (HTTP 404)`
  return `${page}: HTTP ${error.statusCode}: ${error.message}`
}

function repositoryFolder(model: string): string {
  return join(hubCacheFolder(), `models--${model.replaceAll('/', '--')}`)
}

async function cachedCommit(model: string, revision: string): Promise<string | undefined> {
  if (/^[0-9a-f]{40}$/.test(revision)) return revision
  const ref = await readFile(join(repositoryFolder(model), 'refs', revision), 'utf8').catch(
    () => '',
  )
  return ref.trim() || undefined
}

async function rememberCommit(model: string, revision: string, commit: string): Promise<void> {
  if (revision === commit) return
  const path = join(repositoryFolder(model), 'refs', revision)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, commit)
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
