import { readFile } from 'node:fs/promises'

/**
 * Reads the secret that edge and container share: the file's text without white space around it.
 * @throws Error when it cannot be read, is empty, or holds what no header can carry
 */
export async function readSecretFile(path: string): Promise<string> {
  const secret = (await readOption('--secret-file', path)).trim()
  if (!/^[\x21-\x7e]+$/.test(secret)) {
    throw new Error(`--secret-file ${path} must hold one line of visible ASCII characters`)
  }
  return secret
}

/** Reads the file that an option names. @throws Error naming the option */
export async function readOption(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new Error(`${option} ${path} cannot be read`, { cause })
  }
}
