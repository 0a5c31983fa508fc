import { randomUUID } from 'node:crypto'
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { hubCacheFolder } from './hubEnvironment.ts'

/** A partial download nobody has written to for this long is taken over. */
const ABANDONED_MS = 60_000

/**
 * One repository in the cache that huggingface-cli uses too: `refs/REVISION` names a commit, `snapshots/COMMIT/PATH` links to
 * `blobs/ETAG`. A blob gets its name only when it is complete and checked, so whatever has a name can be used.
 * Source: the Hugging Face hub documentation, "Understand caching".
 */
export class ModelCache {
  readonly folder: string

  /** @param model organisation/name */
  constructor(model: string) {
    this.folder = join(hubCacheFolder(), `models--${model.replaceAll('/', '--')}`)
  }

  snapshotPath(commit: string, path = ''): string {
    return join(this.folder, 'snapshots', commit, path)
  }

  /** The commit a revision stood for when it was last downloaded. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision
    const text = await readFile(join(this.folder, 'refs', revision), 'utf8').catch(() => '')
    return text.trim() || undefined
  }

  async setCommit(revision: string, commit: string): Promise<void> {
    if (isCommit(revision)) return
    const path = join(this.folder, 'refs', revision)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, commit)
  }

  /** False also for a link whose blob is gone. */
  has(commit: string, path = ''): Promise<boolean> {
    return exists(this.snapshotPath(commit, path))
  }

  /**
   * Puts a file into a snapshot.
   * @param fill writes the blob to the path it is given, or goes on with what is there; not called when the blob is known
   */
  async add(
    commit: string,
    path: string,
    etag: string,
    fill: (target: string) => Promise<void>,
  ): Promise<void> {
    const blob = join(this.folder, 'blobs', etag)
    if (!(await exists(blob))) {
      const partial = await this.#claimPartial(blob)
      try {
        await fill(partial)
        await rename(partial, blob)
      } catch (error) {
        // The next attempt goes on from here.
        await rename(partial, `${blob}.incomplete`).catch(() => {})
        throw error
      }
    }
    await link(blob, this.snapshotPath(commit, path))
  }

  /**
   * A partial file of our own, so that two processes never write the same one: they download twice, and both end well.
   * What an earlier process has left behind is taken over; renaming is atomic, so only one can.
   */
  async #claimPartial(blob: string): Promise<string> {
    await mkdir(dirname(blob), { recursive: true })
    const own = `${blob}.${randomUUID()}.incomplete`
    for (const name of await readdir(dirname(blob))) {
      const path = join(dirname(blob), name)
      if (!path.startsWith(`${blob}.`) || !name.endsWith('.incomplete')) continue
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }))
      const isAbandoned = path === `${blob}.incomplete` || Date.now() - mtimeMs > ABANDONED_MS
      if (isAbandoned && (await succeeds(rename(path, own)))) break
    }
    return own
  }
}

/** A relative link, as huggingface-cli makes it, or a copy where the system has none for us. */
async function link(blob: string, path: string): Promise<void> {
  if (await exists(path)) return
  await mkdir(dirname(path), { recursive: true })
  await rm(path, { force: true }) // a link whose blob was deleted
  try {
    await symlink(relative(dirname(path), blob), path)
  } catch (error) {
    if (await exists(path)) return // another process was faster
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error
    await copyFile(blob, path)
  }
}

function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision)
}

function exists(path: string): Promise<boolean> {
  return succeeds(stat(path))
}

function succeeds(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => true,
    () => false,
  )
}
