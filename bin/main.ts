/** The one program: reads argv, signals and the environment, and starts what was asked for. */
import { resolve } from 'node:path';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';

import { describeError, isPodwrightError } from '#base/errors.ts';
import { localClassName } from '#api/volume/local-volumes.ts';
import { addAdmissionOptions } from './admission/add-options.ts';
import { addAuthorizationOptions } from './authorization/add-options.ts';
import { addAuditFlags } from './audit/audit-flags.ts';
import { addEncryptionFlags } from './encryption/encryption-flags.ts';
import { addOciCommands } from './oci/oci-command.ts';
import { addCriCommand } from './cri/cri-command.ts';
import { addCloudControllerCommand } from './cloud/add-command.ts';
import { addCsiCommand } from './csi-command.ts';
import { agentHostOptions, agentOptions } from './options/agent-options.ts';
import { collect, collectAll, commas, integer } from './options/argument.ts';
import { fabricOption } from './options/fabric-option.ts';
import { addControllerOptions } from './options/controller-options.ts';
import { addSchedulerOptions } from './options/scheduler-flags.ts';
import { runtimeHandlerOption } from './options/handler-option.ts';
import { addFlowControlOptions } from './options/flow-control-options.ts';
import { addRuntimeConfig } from './options/runtime-config.ts';
import {
  addClusterNetworkOptions,
  addNodePrefixOptions,
  loadBalancerCidrOption,
  fastPathOption,
  proxyModeOption,
} from './options/network-options.ts';
import type { CompletionShell } from './terminal/completion.ts';
import { withGiven } from './kubelet/add-options.ts';
import { authenticationOptions } from './options/authentication-options.ts';
import { dataDirDefault } from './paths.ts';
import { emptyPathProblem, refuseEmptyPaths } from './options/empty-paths.ts';
import { pathOptions } from './options/path-options.ts';
import { printText } from './terminal/print.ts';
import { unknownCommand } from './terminal/unknown-command.ts';
import { fleetMax } from '#agent/fake-node/fleet-bounds.ts';
import { addFakeNodesCommand } from './fake-nodes/add-command.ts';
import { addTraceCommand } from './trace/add-command.ts';
import { parseExposed } from './up/outside/exposed.ts';
import { serverOptionProblem } from './up/server-option.ts';
import { runVersion, versionLine } from './version.ts';

const exitFailed = 1;
const exitUsage = 2;

/** Paths become whole: the server has another working directory. */
function collectServerOption(text: string, earlier: readonly string[] = []): readonly string[] {
  const { options } = serverOptions(new Command());
  const known = new Map(options.map((option) => [(option.long ?? '').slice('--'.length), option]));
  const takesValue = new Map([...known].map(([name, { required }]) => [name, required]));
  const problem = serverOptionProblem(text, takesValue);
  if (problem !== undefined) throw new InvalidArgumentError(problem);
  const [name = '', ...value] = text.split('=');
  const isPath = pathOptions.has(known.get(name)?.attributeName() ?? '');
  if (isPath && value.join('=') === '') throw new InvalidArgumentError(emptyPathProblem(name));
  return [...earlier, isPath ? `${name}=${resolve(value.join('='))}` : text];
}

function collectExposed(text: string, earlier: readonly string[] = []): readonly string[] {
  if (parseExposed(text) === undefined)
    throw new InvalidArgumentError('write PORT, PORT:NODEPORT or services');
  return [...earlier, text];
}

const port = integer(1, 65_535);
const output = (): Option =>
  new Option('-o, --output <format>', 'text or json').choices(['text', 'json']).default('text');
const data = (): Option =>
  new Option('--data <dir>', 'where the cluster keeps its data').default(dataDirDefault);

function clusterCommands(program: Command): void {
  program
    .command('up')
    .description(
      'start a whole cluster on this machine, in namespaces of its own; Ctrl-C ends it and leaves nothing',
    )
    .option('--nodes <n>', 'how many nodes (default: 1, or as many as the kept data has)', integer(1, 64))
    .addOption(data())
    .option('--port <port>', 'of the API server on 127.0.0.1 (default: 6443, or as last time)', port)
    .option(
      '--node-cidr-mask-size <bits>',
      "prefix of each node's part of 10.244.0.0/16 (default: 24, or as last time)",
      integer(16, 30),
    )
    .addOption(
      new Option(
        '--ip-family <family>',
        'addresses of nodes, pods and Services (default: ipv4, or as last time)',
      ).choices(['ipv4', 'ipv6', 'dual']),
    )
    .addOption(fabricOption('how packets go from node to node (default: host-gw, or as last time)'))
    .option('--max-pods <n>', 'pods that each node takes (default: 110, or as last time)', integer(1, 65_536))
    .option(
      '--server-option <name=value>',
      'tell the server this too, as enable-admission-plugins=AlwaysPullImages; can be repeated (default: as last time)',
      collectServerOption,
    )
    .addOption(
      new Option(
        '--egress [how]',
        "pods reach what this machine reaches, and ask its resolvers: relay, through podwright up itself; nat, by a link and a rule of this machine's own (default: as last time, at first none)",
      )
        .choices(['relay', 'nat', 'none'])
        .preset('relay'),
    )
    .option('--no-egress', 'they do not')
    .option(
      '--expose <[port:]nodePort>',
      'open a node port, by TCP, at 127.0.0.1 too; "services": those of all Services, and the ports of LoadBalancers; can be repeated (default: as last time)',
      collectExposed,
    )
    .addOption(proxyModeOption())
    .addOption(fastPathOption())
    .addOption(loadBalancerCidrOption('as last time, at first none'))
    .option(
      '--fake-nodes <n>',
      'so many nodes beside them whose pods are only told of (default: as last time, at first none)',
      integer(0, fleetMax),
    )
    .addOption(runtimeHandlerOption(' (default: as last time, at first none)'))
    .option('--keep', 'leave the data directory when the cluster ends, so that the next up goes on with it')
    .option('--detach', 'return when the cluster is ready; podwright down stops it')
    .addOption(output())
    .action(async ({ egress: how, ...options }) => {
      const egress = how === undefined ? {} : { egress: how === false ? ('none' as const) : how };
      await (await import('./up/command.ts')).runUp({ ...options, ...egress });
    });
}

function runningClusterCommands(program: Command): void {
  program
    .command('down')
    .description('stop the cluster that up started, however it ended')
    .addOption(data())
    .option('--purge', 'remove its data as well')
    .addOption(output())
    .action(async (options) => (await import('./up/command.ts')).runDown(options));
  program
    .command('status')
    .description('what runs: processes, nodes, pods')
    .addOption(data())
    .addOption(output())
    .action(async (options) => (await import('./status.ts')).runStatus(options));
}

function serverOptions(command: Command): Command {
  const known = addAdmissionOptions(addAuthorizationOptions(authenticationOptions(command)));
  const asked = addNodePrefixOptions(
    addClusterNetworkOptions(addAuditFlags(addEncryptionFlags(addRuntimeConfig(known)))),
    integer,
  );
  return addFlowControlOptions(addSchedulerOptions(addControllerOptions(asked)), integer)
    .requiredOption('--data <dir>', 'where it keeps store, keys and certificates')
    .option('--listen <host:port>', 'listen here; can be repeated', collect, [])
    .option('--listen-fd <fd>', 'listen on this inherited socket', integer(3, 1023))
    .requiredOption('--advertise-address <ip>', 'where nodes and pods reach the API server')
    .option(
      '--virtual-address <ip>',
      'an address of the link that all servers have in common, and one of them answers for: in kubeconfigs and for nodes, of the family of --advertise-address (default: none)',
      collectAll,
      [],
    )
    .option('--local-storage-class <name>', 'StorageClass whose volumes nodes make, or none', localClassName)
    .option('--pod-routes', 'keep routes to the pods of all nodes, where this host is no node itself')
    .option(
      '--node <name=ip>',
      'write credentials for this node, of one address or one of each family (NAME=IPv4,IPv6), to DIR/nodes/NAME; can be repeated',
      collect,
      [],
    )
    .option(
      '--admin-kubeconfig <file>',
      'write a kubeconfig for the administrator here (default: DIR/kubeconfig)',
    )
    .option('--admin-server <url>', 'the address in that kubeconfig (default: the first --listen)')
    .option(
      '--cluster-signing-duration <duration>',
      'how long what is signed for CertificateSigningRequests is good for',
      '8760h',
    )
    .option(
      '--etcd-servers <url,url>',
      'keep the store in this etcd, which several servers may share (default: in DIR)',
      collectAll,
      [],
    )
    .option('--etcd-cafile <file>', "certificates that sign etcd's, PEM (default: those Node knows)")
    .option('--etcd-certfile <file>', 'what the server shows to etcd, PEM')
    .option('--etcd-keyfile <file>', 'its key, PEM')
    .option(
      '--etcd-listen <unix:path|host:port>',
      'serve the store as etcd v3 there, a port by TLS; unix: is DIR/etcd.sock; can be repeated',
      collect,
      [],
    )
    .option(
      '--etcd-listen-cafile <file>',
      "certificates that sign those who may call, PEM (default: the cluster's, of which administrators may)",
    )
    .option(
      '--etcd-listen-certfile <file>',
      'what those ports show, PEM (default: what the API server shows)',
    )
    .option('--etcd-listen-keyfile <file>', 'its key, PEM');
}

function processCommands(program: Command): void {
  serverOptions(program.command('server'))
    .description('run the control plane: store, API server, scheduler, controllers')
    .action(async (options) => (await import('./server.ts')).runServer(options));
  agentOptions(program.command('agent'))
    .description('run a node: kubelet, runtime, network, Service proxy, DNS')
    .action(async (options, command: Command) =>
      (await import('./agent.ts')).runAgent(withGiven(options, command)),
    );
  addCriCommand(program);
  addCsiCommand(program);
  addCloudControllerCommand(program);
  agentHostOptions(program.command('join'))
    .description(
      'make this host a node of a cluster, by a token; then run its agent, with the options of podwright agent',
    )
    .argument('<url>', "https://HOST:PORT of the cluster's API server")
    .requiredOption('--token <token>', 'as podwright token create prints it')
    .requiredOption('--ca-hash <hash>', "sha256:HEX of the public key of the cluster's authority")
    .option('--data <dir>', 'images, containers, logs', `${dataDirDefault}/agent`)
    .option('--name <name>', "name of the Node object (default: the host's)")
    .option(
      '--node-ip <ip>',
      'address of this host towards the other nodes; one, or one of each family (default: the one by which it reaches the server)',
      collectAll,
    )
    .option('--credentials <dir>', 'where to put what the node gets (default: credentials in --data)')
    .option('--install', 'make a systemd unit of the agent, and start that')
    .action(async (url, options, command: Command) =>
      (await import('./join/join.ts')).runJoin(url, withGiven(options, command)),
    );
}

const joinersGroup = 'system:bootstrappers:kubeadm:default-node-token';

function tokenCommands(program: Command): void {
  const token = program.command('token').description('bootstrap tokens, by which nodes join');
  const kubeconfig = (): Option =>
    new Option('--kubeconfig <file>', "the administrator's (default: $KUBECONFIG, or kubeconfig in --data)");
  token
    .command('create')
    .description('make a token and print it')
    .argument('[token]', 'ID.SECRET (default: a random one)')
    .option('--ttl <duration>', 'after that it ends; 0: never', '24h')
    .option('--usages <usage,usage>', 'what it is for (default: signing,authentication)', commas)
    .option('--groups <group,group>', `groups of who shows it (default: ${joinersGroup})`, commas)
    .option('--description <text>', 'what it was made for')
    .option('--print-join-command', 'print the line by which a host joins with it')
    .addOption(kubeconfig())
    .addOption(data())
    .action(async (text, options) => {
      const { usages = ['signing', 'authentication'] } = options;
      const { groups = usages.includes('authentication') ? [joinersGroup] : [] } = options;
      await (await import('./token.ts')).runTokenCreate(text, { ...options, usages, groups });
    });
  token
    .command('list')
    .description('tokens that there are')
    .addOption(kubeconfig())
    .addOption(data())
    .addOption(output())
    .action(async (options) => (await import('./token.ts')).runTokenList(options));
  token
    .command('revoke')
    .description('take tokens away, by id or whole')
    .argument('<token...>')
    .addOption(kubeconfig())
    .addOption(data())
    .action(async (texts, options) => (await import('./token.ts')).runTokenRevoke(texts, options));
}

function installCommands(program: Command): void {
  const install = program.command('install').description('make a systemd unit of a program, and start it');
  const uninstall = program
    .command('uninstall')
    .description("remove a program's unit and what it left on this host");
  const optionsOf = { server: serverOptions, agent: agentOptions } as const;
  const descriptions = { server: 'the control plane', agent: 'the node' } as const;
  for (const role of ['server', 'agent'] as const) {
    optionsOf[role](install.command(role))
      .description(`${descriptions[role]}; takes the options of podwright ${role}`)
      .option('--print', 'print the unit, and write and start nothing')
      .action(async (options, command: Command) =>
        (await import('./install/install.ts')).runInstall(role, withGiven(options, command)),
      );
    uninstall
      .command(role)
      .description(
        `${descriptions[role]}${role === 'agent' ? ', its pods, mounts and cgroups' : ''}; its data stays`,
      )
      .option('--purge', 'remove its data as well')
      .action(async (options) => (await import('./install/install.ts')).runUninstall(role, options));
  }
  const binDir = (): Option =>
    new Option('--bin-dir <dir>', 'where runtimes look for CNI plugins').default('/opt/cni/bin');
  install
    .command('cni')
    .description('the CNI plugins as programs, for any container runtime')
    .addOption(binDir())
    .addOption(new Option('--run <dir>', 'of an agent that answers their calls').default('/run/podwright'))
    .action(async (options) => (await import('./install/install-cni.ts')).runInstallCni(options));
  uninstall
    .command('cni')
    .description("podwright's CNI programs; those of others stay")
    .addOption(binDir())
    .action(async (options) => (await import('./install/install-cni.ts')).runUninstallCni(options));
  addOciCommands(install, uninstall);
}

function imageCommands(program: Command): void {
  const image = program.command('image').description("the nodes' images");
  image
    .command('import')
    .description('import OCI layouts or docker-archives (tar, gzip, zstd, or a directory) into every node')
    .argument('<archive...>')
    .option('--name <reference>', 'name for an archive that carries none')
    .addOption(data())
    .addOption(output())
    .action(async (archives, options) => (await import('./image.ts')).runImageImport(archives, options));
  image
    .command('export')
    .description('write images of a node as one archive, for podman, skopeo, docker load and image import')
    .argument('<reference...>')
    .option('--to <file>', 'the archive (default: standard output)')
    .addOption(data())
    .action(async (references, options) =>
      (await import('./image-export.ts')).runImageExport(references, options),
    );
  image
    .command('pull')
    .description('pull images from their registries into every node')
    .argument('<reference...>')
    .addOption(data())
    .addOption(output())
    .action(async (references, options) =>
      (await import('./pull/image-pull.ts')).runImagePull(references, options),
    );
  image
    .command('ls')
    .description('list images by node')
    .addOption(data())
    .addOption(output())
    .action(async (options) => (await import('./image.ts')).runImageList(options));
  image
    .command('rm')
    .description('remove images from every node')
    .argument('<reference...>')
    .addOption(data())
    .addOption(output())
    .action(async (references, options) => (await import('./image.ts')).runImageRemove(references, options));
  image
    .command('prune')
    .description('remove the images that no container uses from every node')
    .addOption(data())
    .addOption(output())
    .action(async (options) => (await import('./image.ts')).runImagePrune(options));
}

function storeCommands(program: Command): void {
  const store = program.command('store').description("the control plane's store, while no server runs");
  store
    .command('salvage')
    .description('keep what is whole of a damaged store and lose the rest; the damaged files are set aside')
    .addOption(data())
    .addOption(output())
    .action(async (options) => (await import('./store.ts')).runStoreSalvage(options));
  store
    .command('rewrite')
    .description(
      'encrypt everything with the first key of a configuration, and leave nothing of what was there before',
    )
    .addOption(data())
    .requiredOption(
      '--encryption-provider-config <file>',
      'the EncryptionConfiguration, with the keys that read what is there',
    )
    .addOption(output())
    .action(async (options) => (await import('./store.ts')).runStoreRewrite(options));
}

function toolCommands(program: Command): void {
  program
    .command('plan')
    .description('print every syscall, network change and cgroup write that a node would make for a pod')
    .requiredOption('-f, --filename <file>', 'a Pod manifest; - for standard input')
    .option('--image-store <dir>', "a node's data directory: take what its images say from there")
    .option(
      '--cluster',
      'instead, of a file of any objects: where their pods would land in a cluster, who would go for them, what would be refused; changes nothing there',
    )
    .option('-n, --namespace <name>', 'of objects without one', 'default')
    .option('--kubeconfig <file>', 'whose cluster (default: $KUBECONFIG, or kubeconfig in --data)')
    .addOption(data())
    .addOption(output())
    .action(async (options) => (await import('./plan.ts')).runPlan(options));
  program
    .command('types')
    .description('print TypeScript types of the custom kinds that a file defines, for podwright/client')
    .argument('<file>', 'CustomResourceDefinitions; - for standard input')
    .option('--api-version <name>', 'of their versions this one (default: the one that is stored)')
    .action(async (filename, options) =>
      (await import('./package/write-types.ts')).runTypes(filename, options.apiVersion),
    );
  addTraceCommand(program, [data(), output()]);
  addFakeNodesCommand(program, data());
  program
    .command('doctor')
    .description("what this host's kernel and set-up have and lack, with the remedy")
    .option('--kubeconfig <file>', 'also what may lock the cluster that it names')
    .addOption(output())
    .action(async (options) => (await import('./doctor/doctor.ts')).runDoctor(options));
  program
    .command('setup')
    .description('install and build what this checkout needs, then exit')
    .action(async () => (await import('./setup.ts')).runSetup());
  program
    .command('load', { hidden: true })
    .description('make the bundle that programs start from, and have Node keep what it compiles of it')
    .option('--programs', 'load them, and make nothing')
    .action(async ({ programs }) => {
      const { loadPrograms, runLoad } = await import('./load.ts');
      await (programs === true ? loadPrograms() : runLoad());
    });
  program
    .command('completion')
    .description('print a script by which a shell completes commands and options')
    .addArgument(new Argument('<shell>').choices(completionShells))
    .action(async (shell) => (await import('./terminal/completion.ts')).runCompletion(program, shell));
  program.command('version').description('print the version').action(runVersion);
}

/** Those that `completion` writes for. */
const completionShells: readonly CompletionShell[] = ['bash', 'zsh', 'fish'];

/** What containers see of the files that a node makes is for their users too; each secret is made with a mode of its own. */
const ownUmask = 0o022;

/** All commands with their options; nothing is parsed yet. */
export function createProgram(): Command {
  const program = new Command('podwright')
    .description('Kubernetes in TypeScript, from the kernel up')
    .showSuggestionAfterError()
    .version(versionLine(), '--version', 'print the version')
    .configureOutput({ writeOut: printText })
    .exitOverride()
    .hook('preAction', (_program, command) => refuseEmptyPaths(command));
  clusterCommands(program);
  runningClusterCommands(program);
  processCommands(program);
  installCommands(program);
  tokenCommands(program);
  imageCommands(program);
  storeCommands(program);
  toolCommands(program);
  return program;
}

export async function main(): Promise<void> {
  process.umask(ownUmask); // Before any thread, and for every process that is started from here.
  const program = createProgram();
  const unknown = unknownCommand(program, process.argv.slice(2));
  try {
    if (unknown !== undefined) program.error(`error: unknown command '${unknown}' (see podwright --help)`);
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : exitUsage;
      return;
    }
    console.error(`podwright: ${describeError(error)}`);
    // At once: what a failed start left open must not keep the process, which somebody is to start again.
    process.exit(isPodwrightError(error, 'E_USAGE') ? exitUsage : exitFailed);
  }
}
