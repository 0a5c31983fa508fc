import { downloadFile } from './downloadFile.ts'
import { hubCacheFolder, hubEndpoint, hubOffline } from './hubEnvironment.ts'
import { HubError, hubRequest } from './hubRequest.ts'
import { ModelCache } from './modelCache.ts'

/** What a model needs to run; published repositories also hold pictures, other formats and duplicates. */
const TEXT_FILES =
  /^((config|generation_config|tokenizer|tokenizer_config|special_tokens_map)\.json|chat_template\.(jinja|json))$/
const WEIGHT_FILES = /^(model.*\.safetensors|model\.safetensors\.index\.json)$/

/** Files under way at a time; the large files of a model are few. */
const PARALLEL = 4

export interface SnapshotRequest {
  /** organisation/name */
  model: string
  /** One GGUF file of the repository instead of its safetensors. */
  file?: string
  /** Branch, tag or commit; default `main`. */
  revision?: string
}

export interface DownloadProgress {
  /** One line about what happens or why something did not work. */
  log(message: string): void
  /** Bytes that have arrived from a source. */
  bytes(source: string, done: number, total: number): void
}

/**
 * A hub repository in the cache that huggingface-cli uses too; only what is missing is downloaded.
 * @returns the snapshot folder, or the path of `file` in it
 * @throws Error naming repository, revision and what the hub said
 */
export async function snapshotModel(
  request: SnapshotRequest,
  progress: DownloadProgress,
): Promise<string> {
  const { model, file, revision = 'main' } = request
  checkRelative(revision, 'revision')
  const cache = new ModelCache(model)
  const cached = await cache.commitOf(revision)
  const hasCached = cached !== undefined && (await cache.has(cached, file))
  if (hubOffline()) {
    if (hasCached) return cache.snapshotPath(cached, file)
    throw new Error(
      `${file ?? 'the model'} of ${model} at revision ${revision} is not in the cache ${hubCacheFolder()}, ` +
        'and offline mode is on (HF_HUB_OFFLINE)',
    )
  }
  try {
    const { commit, path } = await download(request, revision, cache, progress)
    return cache.snapshotPath(commit, path)
  } catch (error) {
    if (!(error instanceof HubError)) throw error
    if (!error.isTransient) throw new Error(explain(request, revision, error), { cause: error })
    if (!hasCached) throw new Error(`${model} could not be fetched`, { cause: error })
    progress.log(`${error.message}; using ${model} from the cache.`)
    return cache.snapshotPath(cached, file)
  }
}

async function download(
  request: SnapshotRequest,
  revision: string,
  cache: ModelCache,
  progress: DownloadProgress,
): Promise<{ commit: string; path: string | undefined }> {
  const { model } = request
  const { commit, paths } = await listRepository(model, revision)
  const { wanted, path } = choose(paths, request)
  const missing: RemoteFile[] = []
  await inParallel(wanted, async path => {
    if (!(await cache.has(commit, path))) missing.push(await describe(model, commit, path))
  })

  const done = new Map<string, number>()
  const total = missing.reduce((sum, { size }) => sum + size, 0)
  // The largest first, so that it does not end alone.
  missing.sort((a, b) => b.size - a.size)
  await inParallel(missing, ({ path, url, size, etag }) =>
    cache.add(commit, path, etag, target =>
      downloadFile({
        url,
        target,
        size,
        etag,
        onBytes(bytes) {
          done.set(path, bytes)
          const sum = [...done.values()].reduce((a, b) => a + b, 0)
          progress.bytes(model, sum, total)
        },
      }),
    ),
  )
  await cache.setCommit(revision, commit)
  return { commit, path }
}

async function listRepository(model: string, revision: string) {
  const url = `${hubEndpoint()}/api/models/${model}/revision/${encodeURIComponent(revision)}`
  const response = await hubRequest(url)
  const answer = (await response.json().catch(() => undefined)) as
    | { sha?: unknown; siblings?: { rfilename?: unknown }[] }
    | undefined
  const { sha, siblings } = answer ?? {}
  if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha) || !Array.isArray(siblings)) {
    throw new Error(`${url} answered something that is not a model`)
  }
  const paths = siblings.map(({ rfilename }) => String(rfilename))
  for (const path of paths) checkRelative(path, 'file name')
  return { commit: sha, paths }
}

/** The files to have, and the one to load when it is not the folder. */
function choose(
  paths: readonly string[],
  { model, file }: SnapshotRequest,
): { wanted: string[]; path: string | undefined } {
  const texts = paths.filter(path => TEXT_FILES.test(path))
  const weights = paths.filter(path => WEIGHT_FILES.test(path))
  if (file === undefined && weights.length > 0) {
    return { wanted: [...texts, ...weights], path: undefined }
  }
  const ggufs = paths.filter(path => path.endsWith('.gguf'))
  // Of a model in parts, the first stands for all.
  const models = ggufs.filter(path => !/-\d{5}-of-\d{5}\.gguf$/.test(path) || isFirstPart(path))
  const path = file ?? (models.length === 1 ? models[0] : undefined)
  if (path === undefined) {
    if (models.length === 0) throw new Error(`${model} has no safetensors and no GGUF files`)
    throw new Error(`${model} has several GGUF files; choose one with -f: ${models.join(', ')}`)
  }
  if (!paths.includes(path)) {
    const others = models.length > 0 ? `; its GGUF files are ${models.join(', ')}` : ''
    throw new Error(`${model} has no file ${path}${others}`)
  }
  const stem = path.replace(/-\d{5}-of-\d{5}\.gguf$/, '')
  const parts = isFirstPart(path) ? ggufs.filter(part => part.startsWith(`${stem}-`)) : [path]
  const settings = paths.filter(path => path === 'generation_config.json')
  return { wanted: [...parts, ...settings], path }
}

function isFirstPart(path: string): boolean {
  return /-00001-of-\d{5}\.gguf$/.test(path)
}

interface RemoteFile {
  path: string
  url: string
  size: number
  etag: string
}

/** Size and etag are in the headers of the hub's own answer, before it redirects to where large files lie. */
async function describe(model: string, commit: string, path: string): Promise<RemoteFile> {
  const encoded = path.split('/').map(encodeURIComponent).join('/')
  let url = `${hubEndpoint()}/${model}/resolve/${commit}/${encoded}`
  let headers = (await hubRequest(url, { method: 'HEAD', redirect: 'manual' })).headers
  const location = headers.get('location')
  // A repository that was renamed redirects within the hub.
  if (location?.startsWith('/') && !headers.has('x-linked-etag')) {
    url = new URL(location, url).href
    headers = (await hubRequest(url, { method: 'HEAD', redirect: 'manual' })).headers
  }
  const etag = (headers.get('x-linked-etag') ?? headers.get('etag') ?? '')
    .replace(/^W\//, '')
    .replaceAll('"', '')
  const size = Number(headers.get('x-linked-size') ?? headers.get('content-length') ?? Number.NaN)
  if (!/^[\w.-]+$/.test(etag) || !Number.isSafeInteger(size)) {
    throw new Error(`${url} has no usable etag and size`)
  }
  return { path, url, size, etag }
}

/** 401 and 403 are what a newcomer meets first: say which page to open and what to set. */
function explain({ model, file }: SnapshotRequest, revision: string, error: HubError): string {
  const page = `${hubEndpoint()}/${model}`
  const { status, code } = error
  if (status === 401 || status === 403) {
    const gated = code === 'GatedRepo' || status === 403
    return (
      `could not access ${model} (HTTP ${status}): ` +
      (gated
        ? `open ${page} and accept its terms, then`
        : `it does not exist, or it is gated or private. Check the name, and if ${page} asks for it accept its terms; then`) +
      ' log in with `huggingface-cli login` or set HF_TOKEN'
    )
  }
  if (code === 'RevisionNotFound') return `${model} has no revision ${revision} (HTTP ${status})`
  if (code === 'EntryNotFound') return `${model} has no file ${file ?? ''} (HTTP ${status})`
  if (status === 404) return `${page} does not exist (HTTP 404)`
  return `${model} could not be fetched (HTTP ${status})`
}

/** Names from the network and the command line become paths in the cache. */
function checkRelative(path: string, what: string): void {
  const parts = path.split('/')
  if (path.includes('\\') || parts.some(part => part === '' || part === '..' || part === '.')) {
    throw new Error(`${JSON.stringify(path)} is not a usable ${what}`)
  }
}

async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values()
  const worker = async () => {
    for (const item of queue) await run(item)
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
}
