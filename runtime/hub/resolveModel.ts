import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { DEFAULT_MODEL, ensurePublishedModel } from './defaultModel.ts'
import { type DownloadProgress, snapshotModel } from './snapshot.ts'

export interface ModelRequest {
  /** `-m`: a folder, a .gguf file or a hub id. */
  model?: string
  /** `-f`: a GGUF file, absolute, relative to here, or inside `model`. */
  file?: string
  /** Branch, tag or commit of a hub repository; default `main`. */
  revision?: string
}

/** The name clients use: what the user typed, or the default model's id. */
export function requestedId(request: ModelRequest): string {
  return request.model ?? request.file ?? DEFAULT_MODEL.id
}

export interface ResolvedModel {
  /** What clients call the model: the string the user typed, or the default model's id. */
  id: string
  /** Folder with config.json and weights, or a GGUF file. */
  path: string
  /** The built-in demo model. */
  isDefault: boolean
}

/**
 * Turns the model options of the command line into a path on this machine, downloading what is missing.
 * @throws Error naming what was looked for and where
 */
export async function resolveModel(
  request: ModelRequest,
  progress: DownloadProgress,
): Promise<ResolvedModel> {
  const { model, file, revision } = request
  const id = requestedId(request)
  if (model === undefined) {
    if (file !== undefined) return { id, path: await localFile(file, '.'), isDefault: false }
    return { id, path: await ensurePublishedModel(DEFAULT_MODEL, progress), isDefault: true }
  }
  const found = await stat(model).catch(() => undefined)
  if (found === undefined) {
    if (!isHubId(model)) {
      throw new Error(
        `${model}: no such file or folder, and not a hub id of the form organisation/name`,
      )
    }
    return { id, path: await snapshotModel({ ...request, model }, progress), isDefault: false }
  }
  if (revision !== undefined) {
    throw new Error(`--revision is for models of the hub, and ${model} is on this machine`)
  }
  if (file === undefined) return { id, path: resolve(model), isDefault: false }
  if (found.isFile()) throw new Error(`${model} is a file already; leave out -f ${file}`)
  return { id, path: await localFile(file, model), isDefault: false }
}

/** A path below `folder`, or from the current one. */
async function localFile(file: string, folder: string): Promise<string> {
  for (const path of [resolve(folder, file), resolve(file)]) {
    const found = await stat(path).catch(() => undefined)
    if (found?.isFile()) return path
  }
  throw new Error(`${file}: no such file${folder === '.' ? '' : ` in ${folder}`}`)
}

/** organisation/name, of the characters the hub allows. */
function isHubId(text: string): boolean {
  return /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(text) && !text.endsWith('.gguf')
}
