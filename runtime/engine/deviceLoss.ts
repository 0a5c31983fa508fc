import type { NativeError } from '../native.ts'

/** Whether the addon said that its device takes no more work from this process. */
export function isDeviceLost(error: unknown): error is NativeError {
  const code: NativeError['code'] = 'device_lost'
  return error instanceof Error && 'code' in error && error.code === code
}
