/** An agent's certificates, asked for anew before they end (kubelet's rotateCertificates and serverTLSBootstrap). */
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { backoffMs } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { writeDurably } from '#base/durable-file.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { ApiClient } from '#client/client.ts';
import { filesOf, isSignedBy, type ClusterPlace } from './node-files.ts';
import { requestCertificate, type Purpose } from './request-certificate.ts';

/** A node's certificates as they are now, PEM; undefined where there is none yet. */
export type HeldCertificates = Readonly<Record<Purpose, string | undefined>>;

const purposes: readonly Purpose[] = ['client', 'proxy', 'serving'];

/** Of its life, a certificate is used for this much at least, and for so much more at most (client-go util/certificate). */
const usedMin = 0.7;
const usedSpread = 0.2;

/**
 * When a certificate is to be asked for anew: when 70 to 90 % of its life have gone, by chance, for nodes not to ask all at once; at once
 * where there is none, or one that the cluster did not sign. Milliseconds since the epoch. Pure.
 * @param chance from 0 up to 1
 */
export function computeRotation(certPem: string | undefined, caCertPem: string, chance: number): number {
  if (certPem === undefined || !isSignedBy(certPem, caCertPem)) return 0;
  const { validFromDate, validToDate } = new X509Certificate(certPem);
  const lifeMs = validToDate.getTime() - validFromDate.getTime();
  return validFromDate.getTime() + lifeMs * (usedMin + usedSpread * chance);
}

/** @throws {E_INVALID} where the node cannot ask for another any more: nobody knows it by a certificate that has ended */
export function requireCurrent(certPem: string | undefined, credentials: string, nowMs: number): void {
  if (certPem === undefined) return;
  const { validTo, validToDate } = new X509Certificate(certPem);
  if (validToDate.getTime() > nowMs) return;
  throw new PodwrightError(
    'E_INVALID',
    `start agent: the node's certificate in ${credentials} ended on ${validTo}, so that the node cannot ask for another; join the node again, with what podwright token create --print-join-command prints on the server`,
  );
}

export interface RotationOptions {
  readonly directory: string;
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  readonly place: ClusterPlace;
  readonly held: HeldCertificates;
  /** As the node. */
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Files were written: whoever follows them may look at once. */
  readonly onWritten: (purpose: Purpose) => void;
  /** One could not be had; it is asked for again. */
  readonly onFailed: (purpose: Purpose) => void;
}

/** How long a request waits for somebody to approve it; another is made then (kubelet: 15 min). */
const waitMs = 15 * 60_000;
/** From one to the next, however soon they end. */
const pauseMs = 10_000;
/** After a failure: it may be the server that is away. */
const retry = { initialMs: 2_000, factor: 2, maxMs: 5 * 60_000 };

/** Keeps a node's certificates fresh until disposed. One that cannot be had is logged, and asked for again. */
export function rotateCertificates(options: RotationOptions): AsyncDisposable {
  const stop = new AbortController();
  const running = Promise.all(purposes.map((purpose) => keepFresh(purpose, options, stop.signal)));
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

async function keepFresh(purpose: Purpose, options: RotationOptions, signal: AbortSignal): Promise<void> {
  const { clock, logger, place, held, random } = options;
  let certPem = held[purpose];
  let failures = 0;
  try {
    for (;;) {
      const dueMs = computeRotation(certPem, place.caCertPem, random());
      if (dueMs > clock.now()) await clock.sleep(dueMs - clock.now(), signal);
      try {
        certPem = await renew(purpose, options, signal);
        failures = 0;
        await clock.sleep(pauseMs, signal);
      } catch (error) {
        signal.throwIfAborted();
        options.onFailed(purpose);
        const retryMs = backoffMs(retry, ++failures);
        logger.warn({ purpose, error: describeError(error), retryMs }, 'certificate not renewed');
        await clock.sleep(retryMs, signal);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function renew(purpose: Purpose, options: RotationOptions, signal: AbortSignal): Promise<string> {
  const { client, clock, logger, directory, nodeName, nodeIps, place } = options;
  const pair = await requestCertificate({ purpose, nodeName, nodeIps }, { client, clock, waitMs, signal });
  for (const [name, text] of filesOf(purpose, pair, { ...place, nodeName }))
    await writeDurably(join(directory, name), text);
  options.onWritten(purpose);
  logger.info({ purpose, validTo: new X509Certificate(pair.certPem).validTo }, 'certificate renewed');
  return pair.certPem;
}
