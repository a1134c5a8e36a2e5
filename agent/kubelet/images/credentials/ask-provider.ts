/** Runs a program that gives credentials: CredentialProviderRequest on its stdin, CredentialProviderResponse on its stdout. */
import { spawn } from 'node:child_process';
import { isObject } from '#api/wire/json.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { Clock } from '#base/clock.ts';
import { collectOutput } from '#base/collect-output.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Credentials } from '#agent/runtime/images/registry/registry-auth.ts';
import type { CredentialProvider } from './provider-config.ts';

/** The kubelet's. */
const answerMsMax = 60_000;
const outputBytesMax = 1024 * 1024;

export interface ProviderAnswer {
  readonly cacheKeyType: 'Image' | 'Registry' | 'Global';
  /** Undefined: the provider's default. */
  readonly cacheMs: number | undefined;
  /** By patterns of images. */
  readonly auth: ReadonlyMap<string, Credentials>;
}

export interface ProviderQuestion {
  /** Without tag and digest. */
  readonly image: string;
  readonly token?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** @throws {E_TIMEOUT, E_INVALID} with what the program said on stderr */
export async function askProvider(
  provider: CredentialProvider,
  { image, token, annotations }: ProviderQuestion,
  clock: Clock,
): Promise<ProviderAnswer> {
  const { path, args, env, apiVersion, name } = provider;
  const request = {
    ...{ apiVersion, kind: 'CredentialProviderRequest', image },
    ...(token === undefined ? {} : { serviceAccountToken: token }),
    ...(annotations === undefined ? {} : { serviceAccountAnnotations: annotations }),
  };
  const child = spawn(path, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = Promise.withResolvers<number | null>();
  child.once('error', ended.reject);
  child.once('close', ended.resolve);
  let isLate = false;
  using _late = clock.after(answerMsMax, () => {
    isLate = true;
    child.kill('SIGKILL');
  });

  const [stdout, stderr] = [
    collectOutput(child.stdout, outputBytesMax),
    collectOutput(child.stderr, outputBytesMax),
  ];
  child.stdin.on('error', () => undefined); // It need not read all, or any.
  child.stdin.end(JSON.stringify(request));
  const attempt = `get credentials of ${image} from ${name}`;
  let code: number | null;
  try {
    code = await ended.promise;
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `${attempt}: ${describeError(cause)}`, { cause });
  }
  if (isLate) throw new PodwrightError('E_TIMEOUT', `${attempt}: no answer within ${answerMsMax / 1000} s`);
  if (code !== 0)
    throw new PodwrightError(
      'E_INVALID',
      `${attempt}: it ends with ${code}: ${stderr().trim().slice(0, 1000)}`,
    );
  try {
    return parseAnswer(stdout(), apiVersion);
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `${attempt}: ${describeError(cause)}`, { cause });
  }
}

const keyTypes = ['Image', 'Registry', 'Global'] as const;

/** Pure. @throws {E_INVALID} */
export function parseAnswer(text: string, apiVersion: string): ProviderAnswer {
  const wrong = (why: string): PodwrightError => new PodwrightError('E_INVALID', `its answer ${why}`);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw wrong('is not JSON');
  }
  if (!isObject(answer) || answer['kind'] !== 'CredentialProviderResponse')
    throw wrong('is no CredentialProviderResponse');
  if (answer['apiVersion'] !== apiVersion)
    throw wrong(`has apiVersion ${JSON.stringify(answer['apiVersion'])}, and ${apiVersion} is wanted`);
  const cacheKeyType = keyTypes.find((each) => each === answer['cacheKeyType']);
  if (cacheKeyType === undefined)
    throw wrong(`has cacheKeyType ${JSON.stringify(answer['cacheKeyType'])}, none of ${keyTypes.join(', ')}`);
  const duration = answer['cacheDuration'];
  const auth = isObject(answer['auth']) ? answer['auth'] : {};
  return {
    cacheKeyType,
    cacheMs: typeof duration === 'string' ? parseDurationMs(duration) : undefined,
    auth: new Map(
      Object.entries(auth).flatMap(([pattern, entry]) => {
        const { username, password } = isObject(entry) ? entry : {};
        return typeof username === 'string' && typeof password === 'string'
          ? [[pattern, { username, password }] as const]
          : [];
      }),
    ),
  };
}
