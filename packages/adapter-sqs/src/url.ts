import { DriverError } from '@msgloop/core/driver'

export interface SqsOptions {
  /**
   * `sqs://<region>[/<prefix>]` for AWS. `sqs+http://[key:secret@]host[:port][/<prefix>]` and `sqs+https://…`
   * for emulators and custom endpoints. The prefix is put before every queue name as it is.
   * Parameters: `wait` (as `waitSeconds`); where the host is no region, `region` (default `us-east-1`), and
   * `sns`, an `http://` or `https://` URL where SNS answers: without it there are no topics.
   * Credentials are those of the AWS SDK's default chain, unless they are in the URL.
   */
  readonly url: string
  /**
   * How long one request waits for messages, 1 to 20. Default: the URL's, or 3. Longer costs less while a
   * queue is empty; shorter notices sooner that a queue is gone, and leaves less behind at shutdown.
   */
  readonly waitSeconds?: number
  /**
   * The queue for answers that a killed process leaves behind is deleted after so many seconds, by the next process
   * that makes requests. 5 to 43 000. Default 3 600. A process that is stopped for longer loses its own.
   */
  readonly replyQueueSeconds?: number
  /** Longest one attempt to connect may take. Default 5 000. */
  readonly connectTimeoutMs?: number
}

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** Where and how to connect, checked. Holds the secret: never put it in a message. */
export interface Target {
  readonly region: string
  /** Absent: AWS itself. */
  readonly endpoint: string | undefined
  /** Absent: AWS itself, or no SNS. */
  readonly snsEndpoint: string | undefined
  /** Whether there is an SNS. */
  readonly topics: boolean
  /** Absent: the SDK's default chain. */
  readonly credentials: Credentials | undefined
  readonly prefix: string
  readonly waitSeconds: number
  readonly replyQueueSeconds: number
  readonly connectTimeoutMs: number
  /** For people: no key, no secret. */
  readonly address: string
}

/** Advice where topics were asked for. */
export const NO_SNS =
  'this URL names no SNS, which topics need; give one as "sns", like sqs+http://localhost:5000?sns=http://localhost:5000'

const KNOWN = ['url', 'waitSeconds', 'replyQueueSeconds', 'connectTimeoutMs']
const REGION = /^[a-z]{2,}(-[a-z]+)+-\d+$/
const PREFIX = /^[A-Za-z0-9_-]{0,40}$/

/** @throws DriverError `INVALID`; neither its message nor its cause repeats the URL, which may hold a secret */
export function resolveTarget(options: SqsOptions): Target {
  for (const key of Object.keys(options))
    if (!KNOWN.includes(key)) throw invalid(`unknown option "${key}"; there are ${KNOWN.join(', ')}`)
  const url = parse(options.url)
  const native = url.protocol === 'sqs:'
  if (!native && url.protocol !== 'sqs+http:' && url.protocol !== 'sqs+https:')
    throw invalid(`the URL begins with "${url.protocol}"; it must be sqs://, sqs+http:// or sqs+https://`)
  for (const key of url.searchParams.keys())
    if (key !== 'wait' && (native || !['region', 'sns'].includes(key)))
      throw invalid(`unknown URL parameter "${key}"; there is "wait"${native ? '' : ', "region" and "sns"'}`)
  if (url.hostname === '') throw invalid(`the URL names no ${native ? 'region' : 'host'}`)
  const region = native ? url.hostname : (url.searchParams.get('region') ?? 'us-east-1')
  if (!REGION.test(region)) throw invalid(`"${region}" is no region; give one like "eu-central-1"`)
  const prefix = decoded('path', url.pathname.slice(1))
  if (!PREFIX.test(prefix))
    throw invalid(
      'the path of the URL is no prefix of queue names: give up to 40 letters, digits, "-" or "_"; in key and secret write "/" as "%2F"',
    )
  const sns = url.searchParams.get('sns')
  const scheme = url.protocol === 'sqs+https:' ? 'https' : 'http'
  return {
    region,
    endpoint: native ? undefined : `${scheme}://${url.host}`,
    snsEndpoint: sns === null ? undefined : snsEndpoint(sns),
    topics: native || sns !== null,
    credentials: credentialsOf(url, native),
    prefix,
    waitSeconds: whole('waitSeconds', options.waitSeconds ?? Number(url.searchParams.get('wait') ?? 2), 20),
    replyQueueSeconds: whole('replyQueueSeconds', options.replyQueueSeconds ?? 3_600, 43_000, 5),
    connectTimeoutMs: whole('connectTimeoutMs', options.connectTimeoutMs ?? 5_000, 600_000),
    address: `${url.protocol}//${url.host}${prefix === '' ? '' : `/${prefix}`}`,
  }
}

function snsEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const plain = url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
  if (!plain)
    throw invalid(
      'URL parameter "sns" is no URL of SNS; give one like http://localhost:5000, without credentials',
    )
  return url.origin
}

function credentialsOf(url: URL, native: boolean): Credentials | undefined {
  if (url.username === '' && url.password === '') return undefined
  if (native)
    throw invalid(
      'credentials do not belong in an sqs:// URL; give them as the AWS SDK takes them everywhere',
    )
  if (url.username === '' || url.password === '')
    throw invalid('the URL holds a key or a secret alone; give key:secret@, or neither')
  return {
    accessKeyId: decoded('key', url.username),
    secretAccessKey: decoded('secret', url.password),
  }
}

function parse(url: unknown): URL {
  try {
    return new URL(String(url))
  } catch {
    throw invalid('the URL cannot be parsed; give sqs://region/prefix, or sqs+http://host:port')
  }
}

function decoded(part: string, text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid(`the ${part} in the URL is not percent-encoded correctly; write "%" as "%25"`)
  }
}

function whole(option: string, value: number, max: number, min = 1): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw invalid(`"${option}" is ${value}; give a whole number from ${min} to ${max}`)
}

const invalid = (message: string): DriverError => new DriverError('INVALID', `sqs: ${message}`)
