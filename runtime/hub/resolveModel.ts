import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DEFAULT_MODEL, type DefaultModelProgress, ensureDefaultModel } from './defaultModel.ts'
import { snapshotModel } from './snapshot.ts'

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
  progress: DefaultModelProgress,
): Promise<ResolvedModel> {
  const { model, file } = request
  const id = requestedId(request)
  if (model === undefined && file === undefined) {
    return { id, path: await ensureDefaultModel(progress), isDefault: true }
  }
  if (model === undefined)
    return { id: String(file), path: await localFile(String(file)), isDefault: false }

  const found = await stat(model).catch(() => undefined)
  if (found !== undefined) {
    const path =
      file === undefined
        ? resolve(model)
        : await localFile(file, found.isFile() ? dirname(model) : model)
    return { id, path, isDefault: false }
  }
  if (!isHubId(model)) {
    throw new Error(
      `${model}: no such file or folder, and not a hub id of the form organisation/name`,
    )
  }
  return { id, path: await snapshotModel({ ...request, model }, progress), isDefault: false }
}

async function localFile(file: string, folder = '.'): Promise<string> {
  for (const path of [join(folder, file), file]) {
    const found = await stat(path).catch(() => undefined)
    if (found?.isFile()) return resolve(path)
  }
  throw new Error(`${file}: no such file${folder === '.' ? '' : ` in ${folder}`}`)
}

/** organisation/name, of the characters the hub allows. */
function isHubId(text: string): boolean {
  return /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(text) && !text.endsWith('.gguf')
}
