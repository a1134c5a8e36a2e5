import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { TimesReporter } from './test/ci/times-reporter.ts';
import { filesOfOtherDays } from './test/days-turn.ts';
import { LongestFirst } from './test/longest-first.ts';

/**
 * Files that share a process, one after the other: half of the processor time of such a file is the start of a process and the loading
 * of modules that the one before has loaded. They leave nothing in their process that a next one would see
 * (docs/decisions/0058-test-files-share-a-process.md, 0151-where-the-time-of-tests-goes.md).
 */
const shared = [
  ...[
    '{api,base,client,oci-runtime,proto}',
    'control-plane/{apiserver,cloud,controllers,csi,scheduler}',
    'control-plane/store/{etcd-server,packed,sealed}',
    'agent/{device,dns,fake-node,kubelet,network,node,plugin,proxy,volume}',
    'agent/runtime/{cri,cri-client,images,plan}',
    'bin/{admission,authorization,cloud,credentials,doctor,fake-nodes,join,options,package,plan,program,proxy,trace,up}',
    'cni-plugins/{bridge,dhcp,host-local,portmap,skel,tuning}',
    'native/{neighbour,tun,wireguard}',
    'test/{bench,bundles,certificates,ci,clients,docs,fields,fresh,fuzz,vm}',
    // Who plays with the timers of a process, or sees its size, its end or what ran in it, has one of his own.
  ].map(
    (folder) =>
      `${folder}/**/!(*.kernel|*.linux|clock|http2|keeper|kill|layers|queue-names|supervisor|sweep).test.ts`,
  ),
  'agent/runtime/{id-ranges,image-volumes,large-starts,layered-file,local-runtime,runtime.fake,termination-message}.test.ts',
  'agent/runtime/{handlers/handlers,logs/read-logs}.test.ts',
  'bin/{admin-kubeconfig,control,end-node,image,plan,terminal/unknown-command}.test.ts',
  'cni-plugins/{failures,plans,refusals}.test.ts',
  'control-plane/store/{damage,free-pages,log/log-tail,etcd/etcd-parts}.test.ts',
  'native/bpf/{device-rules,redirect/redirect-program}.test.ts',
  'native/launch/{argument-limits,compile,exec-failure,launcher.fake,log-line,protocol,seccomp,seccomp-profile/*}.test.ts',
  'native/netlink/{address,bridge-encode,codec,constants,render}.test.ts',
  'native/nft/{constants,values}.test.ts',
  'native/sys/constants.test.ts',
  'test/attack/{campaign-logs,shared/judge}.test.ts',
  'test/{cluster/ask-words,days-turn,scale/table,scale/verdict,scheduler/wake,server/client}.test.ts',
];

const nobodys = [
  ...['node_modules/**', 'node_modules.new-*/**', 'build/**'],
  ...filesOfOtherDays(Date.now(), process.argv.slice(2), process.env),
];

const config: ViteUserConfig = defineConfig({
  test: {
    pool: 'forks',
    // Deadlines are for what never comes: on a machine that is busy with other things all takes twenty times as long.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 3, // Of two cores, as files that wait for clusters leave one idle.
    setupFiles: ['./test/ci/meter.setup.ts'],
    reporters: ['default', new TimesReporter()],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'shared',
          include: shared,
          exclude: nobodys,
          isolate: false,
          // Node's own loader, without vite's rewriting of each module (no vi.mock here).
          experimental: { viteModuleRunner: false, nodeLoader: false },
        },
      },
      {
        extends: true,
        test: { name: 'alone', include: ['**/*.test.ts'], exclude: [...nobodys, ...shared], isolate: true },
      },
    ],
  },
});
export default config;
