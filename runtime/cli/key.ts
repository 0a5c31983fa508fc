import { addToKeyFile, newKey } from '../host/keyFile.ts'

export interface KeyOptions {
  name: string
  allowModel: string[]
  requestsPerMinute?: number
  tokensPerMinute?: number
  maxConcurrent?: number
  admin?: boolean
  file?: string
}

/** `mistralrs key new`: prints a fresh key, once, and what --api-key-file needs to know of it. */
export async function createKey(options: KeyOptions): Promise<number> {
  const { name, allowModel, requestsPerMinute, tokensPerMinute, maxConcurrent, admin, file } =
    options
  const { key, entry } = await newKey({
    name,
    ...(allowModel.length > 0 && { models: allowModel }),
    ...(requestsPerMinute !== undefined && { requestsPerMinute }),
    ...(tokensPerMinute !== undefined && { tokensPerMinute }),
    ...(maxConcurrent !== undefined && { maxConcurrent }),
    ...(admin && { admin }),
  })
  if (file === undefined) process.stdout.write(`${JSON.stringify(entry)}\n`)
  else await addToKeyFile(file, entry)
  const where =
    file === undefined
      ? 'The line above goes into the list of --api-key-file.'
      : `Added to ${file}.`
  process.stderr.write(`The key of ${name}, which is not kept anywhere:\n`)
  process.stdout.write(`${key}\n`)
  process.stderr.write(`${where}\n`)
  return 0
}
