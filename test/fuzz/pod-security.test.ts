/** Pod Security: whatever a pod asks for, what restricted lets pass baseline does too; and a configuration is read or refused, never half. */
import {
  anything,
  array,
  boolean,
  constant,
  constantFrom,
  dictionary,
  integer,
  oneof,
  option,
  record,
  string,
  type Arbitrary,
} from 'fast-check';
import { expect } from 'vitest';
import { defaultConfiguration, parsePodSecurityConfiguration } from '#api/pod-security/configuration.ts';
import { evaluate, newestMinor } from '#api/pod-security/evaluate.ts';
import { judge } from '#api/pod-security/judge.ts';
import { judgedPodIn } from '#api/pod-security/judged-pod.ts';
import { levelOf, readPolicy, versionOf, versionText, type Version } from '#api/pod-security/policy.ts';
import { isPodwrightError } from '#base/errors.ts';
import { fuzz } from './fuzz.ts';

const maybe = <T>(value: Arbitrary<T>): Arbitrary<T | undefined> => option(value, { nil: undefined });
const name = constantFrom('a', 'b', 'constructor', '__proto__', '"', 'ü');
const profile = record({ type: constantFrom('RuntimeDefault', 'Localhost', 'Unconfined', '') });
const seLinux = record({
  type: maybe(constantFrom('', 'container_t', 'container_engine_t', 'x')),
  user: maybe(constantFrom('', 'u')),
  role: maybe(constantFrom('', 'r')),
});
const shared = {
  appArmorProfile: maybe(profile),
  seccompProfile: maybe(profile),
  seLinuxOptions: maybe(seLinux),
  runAsNonRoot: maybe(boolean()),
  runAsUser: maybe(integer({ min: 0, max: 1 })),
  windowsOptions: maybe(record({ hostProcess: maybe(boolean()) })),
};
const handler = record({
  httpGet: maybe(record({ host: maybe(constantFrom('', 'h')) })),
  tcpSocket: maybe(record({ host: maybe(constantFrom('', 'h')) })),
});
const container = record({
  name,
  image: maybe(name),
  securityContext: maybe(
    record({
      ...shared,
      allowPrivilegeEscalation: maybe(boolean()),
      privileged: maybe(boolean()),
      procMount: maybe(constantFrom('Default', 'Unmasked')),
      capabilities: maybe(
        record({
          add: maybe(array(constantFrom('CHOWN', 'NET_ADMIN', 'NET_BIND_SERVICE'))),
          drop: maybe(array(constantFrom('ALL', 'CHOWN'))),
        }),
      ),
    }),
  ),
  ports: maybe(array(record({ hostPort: maybe(integer({ min: 0, max: 2 })) }))),
  livenessProbe: maybe(handler),
  lifecycle: maybe(record({ preStop: maybe(handler) })),
});
const volume = oneof(
  record({ name }),
  ...['hostPath', 'emptyDir', 'nfs', 'image'].map((type) => record({ name, [type]: constant({}) })),
);
const pod = record({
  metadata: maybe(
    record({
      annotations: maybe(
        dictionary(
          constantFrom(
            'container.apparmor.security.beta.kubernetes.io/a',
            'seccomp.security.alpha.kubernetes.io/pod',
            'container.seccomp.security.alpha.kubernetes.io/a',
            'a',
          ),
          constantFrom('unconfined', 'runtime/default', 'localhost/x', ''),
        ),
      ),
    }),
  ),
  spec: record({
    containers: maybe(array(container, { maxLength: 3 })),
    initContainers: maybe(array(container, { maxLength: 2 })),
    ephemeralContainers: maybe(array(container, { maxLength: 2 })),
    hostNetwork: maybe(boolean()),
    hostPID: maybe(boolean()),
    hostIPC: maybe(boolean()),
    hostUsers: maybe(boolean()),
    volumes: maybe(array(volume, { maxLength: 3 })),
    securityContext: maybe(
      record({ ...shared, sysctls: maybe(array(record({ name: constantFrom('net.ipv4.tcp_rmem', 'x') }))) }),
    ),
  }),
});
const version: Arbitrary<Version> = oneof(
  constant('latest' as const),
  integer({ min: 0, max: newestMinor + 2 }),
);

fuzz('Pod Security of any pod', {
  arbitrary: record({ pod, version }),
  check: (given) => {
    const judged = judgedPodIn(given.pod, 'spec');
    if (judged === undefined) expect.unreachable();
    const [baseline, restricted] = (['baseline', 'restricted'] as const).map((level) =>
      evaluate({ level, version: given.version }, judged),
    );
    for (const { reason, detail } of [...(baseline ?? []), ...(restricted ?? [])]) {
      expect(reason).not.toBe('');
      expect(detail).not.toMatch(/undefined|\[object/);
    }
    if (restricted?.length === 0) expect(baseline).toEqual([]);
    const asked = { level: 'restricted', version: given.version } as const;
    const policy = { enforce: asked, audit: asked, warn: asked };
    const { refusal, warnings } = judge({ policy, errors: [] }, judged, true);
    expect(refusal === undefined).toBe(restricted?.length === 0);
    expect(warnings).toEqual([]);
  },
});

fuzz('labels of Pod Security', {
  arbitrary: record({
    level: string(),
    version: oneof(
      string(),
      integer().map((n) => `v1.${n}`),
    ),
  }),
  check: ({ level, version: text }) => {
    const read = readPolicy(
      { 'pod-security.kubernetes.io/enforce': level, 'pod-security.kubernetes.io/enforce-version': text },
      defaultConfiguration.defaults,
    );
    const known = versionOf(text);
    expect(read.errors).toHaveLength(Number(levelOf(level) === undefined) + Number(known === undefined));
    if (known !== undefined) expect(versionText(known)).toBe(text);
  },
});

const field = oneof(string(), constantFrom('baseline', 'v1.20', ''), anything());
fuzz('a configuration of Pod Security', {
  arbitrary: record({
    apiVersion: constantFrom('pod-security.admission.config.k8s.io/v1', 'v1'),
    kind: constant('PodSecurityConfiguration'),
    defaults: maybe(oneof(anything(), dictionary(constantFrom('enforce', 'enforce-version', 'x'), field))),
    exemptions: maybe(
      oneof(anything(), dictionary(constantFrom('usernames', 'namespaces', 'x'), array(field))),
    ),
  }),
  check: (document) => {
    try {
      const { exemptions } = parsePodSecurityConfiguration(document);
      for (const names of Object.values<readonly string[]>({ ...exemptions }))
        expect(names.every((one) => one !== '')).toBe(true);
    } catch (error) {
      if (!isPodwrightError(error, 'E_INVALID')) throw error;
    }
  },
});
