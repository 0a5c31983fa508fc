import { type FileHandle, open, stat } from 'node:fs/promises'
import { FileFormatError } from './fileFormatError.ts'

/** Config, generation config, chat template: real ones are below a tenth of a megabyte. */
export const maxConfigBytes = 2 ** 24

/**
 * Opens a file of a model for reading.
 * @throws FileFormatError for a folder, and for pipes and devices, whose reading may never end; file system errors as
 * they come
 */
export async function openModelFile(path: string): Promise<{ file: FileHandle; size: number }> {
  // Before opening: to open a pipe is to wait for its writer.
  const info = await stat(path)
  if (!info.isFile()) throw new FileFormatError(path, 'not a regular file')
  return { file: await open(path, 'r'), size: info.size }
}

/** Reads a whole file of a model. @throws as `openModelFile`, and FileFormatError above `maxBytes` */
export async function readModelFile(path: string, maxBytes: number): Promise<Buffer> {
  const { file, size } = await openModelFile(path)
  try {
    if (size > maxBytes) {
      throw new FileFormatError(path, `${size} bytes, more than the ${maxBytes} it may have`)
    }
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** The same, undefined where there is no such file. */
export async function readOptionalModelFile(
  path: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  try {
    return await readModelFile(path, maxBytes)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** Reads a configuration file. @throws as `readModelFile`, and FileFormatError for what is not JSON */
export async function readModelJson(path: string): Promise<unknown> {
  const text = (await readModelFile(path, maxConfigBytes)).toString('utf8')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FileFormatError(path, 'not JSON', { cause })
  }
}
