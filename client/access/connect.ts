import { systemClock, type Clock } from '#base/clock.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient, ObjectRef } from '#client/client.ts';
import { createHttpTransport, type HttpTransportOptions } from '#client/http-transport.ts';
import { parseKubeconfig, transportOptionsOf, type KubeconfigAccess } from '#client/kubeconfig.ts';
import type { Impersonation } from '#client/requests/impersonation.ts';
import { openExec, type ExecOptions, type ExecSession } from '#client/subresources/exec.ts';
import type { Transport } from '#client/transport.ts';
import { runExecPlugin, type ExecCredential } from './exec-credential.ts';
import { createExecTransport } from './exec-transport.ts';
import { findAccess, type AccessWishes } from './find-access.ts';

export interface ConnectOptions extends AccessWishes {
  /** A kubeconfig as text, instead of files. Its relative paths begin at the working directory. */
  readonly kubeconfigText?: string | undefined;
  /** What servers log, and whose first word managedFields are named after: `example-operator/1.2.0`. */
  readonly userAgent?: string | undefined;
  /** As whom managedFields know the writer. Default: the first word of `userAgent`. */
  readonly fieldManager?: string | undefined;
  /** As whom everything is asked; the user of the kubeconfig must be allowed to. Default: `as` of the kubeconfig. */
  readonly impersonate?: Impersonation | undefined;
  /** Told of each Warning of the server: something deprecated, an unknown field. Default: left out. */
  readonly onWarning?: ((text: string) => void) | undefined;
  /** Time to wait for an answer, watches apart. Default a minute. */
  readonly requestTimeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

/** A client with connections of its own. */
export interface Client extends ApiClient, AsyncDisposable {
  /** That of the context, or of the pod that this runs in; `default` where none is said. */
  readonly namespace: string;
  readonly server: string;
  /** Runs a command in a container. @throws {E_API} what the server says, {E_CONNECTION} */
  exec(where: ObjectRef, options: ExecOptions): Promise<ExecSession>;
}

/** As client-go: so often a busy server is asked again. */
const busyTriesMax = 10;

/**
 * A client of the cluster that the environment names (`findAccess`), of a kubeconfig, or of a context in it. Nothing is sent before the
 * first request.
 * @throws {E_INVALID} {E_UNSUPPORTED} {E_NOT_FOUND}
 */
export function connect(options: ConnectOptions = {}): Client {
  const {
    kubeconfigText,
    context,
    clock = systemClock,
    userAgent = 'podwright-client',
    requestTimeoutMs,
  } = options;
  const access =
    kubeconfigText === undefined
      ? findAccess(options)
      : parseKubeconfig(kubeconfigText, { directory: process.cwd(), context });
  const reach: HttpTransportOptions = {
    ...transportOptionsOf(access, clock),
    ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }),
  };
  const run = credentialSource(access, reach);
  const transport: Transport =
    run === undefined ? createHttpTransport(reach) : createExecTransport(reach, run);
  const impersonate = options.impersonate ?? access.impersonate;
  const client = createApiClient({
    transport,
    userAgent,
    fieldManager: options.fieldManager,
    impersonate,
    onWarning: options.onWarning,
    busyRetries: { triesMax: busyTriesMax, clock },
  });
  return {
    ...client,
    namespace: access.namespace,
    server: access.server,
    exec: async (where, how) => {
      const shown = run === undefined ? reach : withCredential(reach, await run());
      return openExec({ ...shown, userAgent, impersonate }, where, how);
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

function credentialSource(
  access: KubeconfigAccess,
  { caPem }: HttpTransportOptions,
): (() => Promise<ExecCredential>) | undefined {
  const { exec } = access;
  return exec === undefined ? undefined : () => runExecPlugin(exec, { ...access, caPem });
}

function withCredential(reach: HttpTransportOptions, credential: ExecCredential): HttpTransportOptions {
  const { token, clientCertPem = reach.clientCertPem, clientKeyPem = reach.clientKeyPem } = credential;
  return { ...reach, token, clientCertPem, clientKeyPem };
}
