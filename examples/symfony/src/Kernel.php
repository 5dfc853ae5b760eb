<?php

declare(strict_types=1);

namespace App;

use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Bundle\TwigBundle\TwigBundle;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

final class Kernel extends BaseKernel
{
    use MicroKernelTrait;

    public function registerBundles(): iterable
    {
        return [new FrameworkBundle(), new TwigBundle()];
    }

    public function getProjectDir(): string
    {
        return dirname(__DIR__);
    }

    private function configureContainer(ContainerConfigurator $container): void
    {
        $container->parameters()->set('env(APP_SECRET)', 'not a secret')->set('env(APP_GREETING)', 'Hello');
        $container->extension('framework', [
            'secret' => '%env(APP_SECRET)%',
            'http_method_override' => false,
            'session' => ['enabled' => true, 'handler_id' => null, 'storage_factory_id' => 'session.storage.factory.native'],
            'router' => ['utf8' => true],
        ]);
        $container->extension('twig', ['default_path' => '%kernel.project_dir%/templates', 'strict_variables' => true]);
        $services = $container->services()->defaults()->autowire()->autoconfigure();
        $services->set(Visits::class);
        $services->set(Controller::class)->public()->arg('$greeting', '%env(APP_GREETING)%')->tag('controller.service_arguments');
    }

    private function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->add('home', '/')->controller([Controller::class, 'home']);
        $routes->add('article', '/article/{number<\d+>}')->controller([Controller::class, 'article']);
        $routes->add('form', '/form')->controller([Controller::class, 'form'])->methods(['POST']);
        $routes->add('stream', '/stream')->controller([Controller::class, 'stream']);
        $routes->add('state', '/state')->controller([Controller::class, 'state']);
        $routes->add('broken', '/broken')->controller([Controller::class, 'broken']);
    }
}
