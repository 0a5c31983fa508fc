import { mkdir, open } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { createMemoryResponseStore } from '../../edge/responseStore/memoryResponseStore.ts'
import type { ResponseStore } from '../../edge/responses/responseStore.ts'
import { SqliteResponseStore } from './sqliteResponseStore.ts'

/**
 * The store that `--response-store` names: `memory`, `off` or a file, by default one in the cache folder, or memory where
 * that cannot be written.
 * @param warn is told of the latter
 * @throws Error naming the option when the file it names cannot be used
 */
export async function openResponseStore(
  where: string | undefined,
  warn: (message: string) => void,
): Promise<ResponseStore | 'off'> {
  if (where === 'off') return where
  if (where === 'memory') return createMemoryResponseStore(Date.now)
  const path = where ?? defaultPath()
  try {
    // Others on the machine have no business in what people ask. The folder may be there and open to all.
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await (await open(path, 'a', 0o600)).close()
    return new SqliteResponseStore(path, Date.now)
  } catch (cause) {
    const problem = `cannot keep responses in ${path}`
    if (where !== undefined) {
      throw new Error(`${problem}; choose another --response-store, memory or off`, { cause })
    }
    warn(`${problem}: stored responses are gone when the server ends (${cause})`)
    return createMemoryResponseStore(Date.now)
  }
}

function defaultPath(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(cache, 'mistralrs', 'responses.sqlite')
}
