import { readFile, rename, writeFile } from 'node:fs/promises'
import { type KeyEntry, keyDigest, parseKeyEntries } from '../../edge/access/keyEntries.ts'
import { randomId } from '../../edge/http/randomId.ts'

/** 238 bits. */
const KEY_LENGTH = 40

/** Reads a list of keys. @throws Error naming the file and what is wrong with it */
export async function readKeyFile(path: string): Promise<KeyEntry[]> {
  try {
    return parseKeyEntries(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new Error(`${path} is no list of API keys`, { cause })
  }
}

/** Makes a key and its entry; only the entry may be kept. */
export async function newKey(
  fields: Omit<KeyEntry, 'sha256'>,
): Promise<{ key: string; entry: KeyEntry }> {
  const key = `sk-${randomId(KEY_LENGTH)}`
  const { name, ...rest } = fields
  return { key, entry: { name, sha256: await keyDigest(key), ...rest } }
}

/** Adds an entry to a list of keys, which may not be there yet. @throws as `readKeyFile`, and for a name that is taken */
export async function addToKeyFile(path: string, entry: KeyEntry): Promise<void> {
  const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  const entries = before === undefined ? [] : await readKeyFile(path)
  const text = `${JSON.stringify([...entries, entry], null, 2)}\n`
  parseKeyEntries(text)
  // In one piece or not at all: a server may be reading it.
  const draft = `${path}.new`
  await writeFile(draft, text, { mode: 0o600 })
  await rename(draft, path)
}
