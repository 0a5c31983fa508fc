import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Environment of the Hugging Face hub, shared with huggingface-cli: endpoint, offline switch, cache folder and token. */

export function hubEndpoint(): string {
  return (process.env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '')
}

export function hubOffline(): boolean {
  return [process.env.HF_HUB_OFFLINE, process.env.TRANSFORMERS_OFFLINE].some(value =>
    ['1', 'true', 'yes', 'on'].includes((value ?? '').toLowerCase()),
  )
}

/** `HF_HUB_CACHE`, else `$HF_HOME/hub`. */
export function hubCacheFolder(): string {
  return process.env.HF_HUB_CACHE || process.env.HUGGINGFACE_HUB_CACHE || join(hfHome(), 'hub')
}

/** `HF_TOKEN`, then `HF_HUB_TOKEN`, then the token file that `huggingface-cli login` writes; undefined = anonymous. */
async function hubToken(): Promise<string | undefined> {
  const named =
    process.env.HF_TOKEN || process.env.HF_HUB_TOKEN || process.env.HUGGING_FACE_HUB_TOKEN
  if (named) return named.trim()
  const path = process.env.HF_TOKEN_PATH || join(hfHome(), 'token')
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.trim() || undefined
}

/** Authorization header for the hub host; fetch drops it on a redirect to another origin. */
export async function hubAuthorization(): Promise<Record<string, string>> {
  const token = await hubToken()
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

function hfHome(): string {
  return (
    process.env.HF_HOME ||
    join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface')
  )
}
