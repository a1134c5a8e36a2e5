/** Options of programs that are files which must be there to be read as the program starts. */
const readOptions: readonly string[] = [
  'imageCredentialProviderConfig',
  'config',
  'proxyConfig',
  'admissionControlConfigFile',
  'authorizationConfig',
  'schedulerConfig',
  'authorizationWebhookConfigFile',
  'auditPolicyFile',
  'auditWebhookConfigFile',
  'encryptionProviderConfig',
  'authenticationConfig',
  'authenticationTokenWebhookConfigFile',
  'oidcCaFile',
  'clientCaFile',
  'requestheaderClientCaFile',
  'serviceAccountKeyFile',
  'serviceAccountSigningKeyFile',
  'etcdCafile',
  'etcdCertfile',
  'etcdKeyfile',
  'etcdListenCafile',
  'etcdListenCertfile',
  'etcdListenKeyfile',
];

/** Options of programs that are paths: a program that is started for somebody has another working directory. */
export const pathOptions: ReadonlySet<string> = new Set([
  ...readOptions,
  'data',
  'run',
  'credentials',
  'cgroup',
  'adminKubeconfig',
  'egressSocket',
  'criSocket',
  'registryConfigDir',
  'imageCredentialProviderBinDir',
  'cniConfDir',
  'podLogsDir',
  'pluginsDir',
  'configDir',
  'podManifestPath',
  'schedulerPlugins',
  'auditLogPath',
  'resolvConf',
]);

/** What is given of files that must be there, each by its option. */
export function* filesRead(options: object): Generator<{ readonly flag: string; readonly path: string }> {
  const given: Readonly<Record<string, unknown>> = { ...options };
  for (const name of readOptions) {
    const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    for (const path of [given[name]].flat()) if (typeof path === 'string') yield { flag, path };
  }
}
