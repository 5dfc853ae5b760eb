<?php

declare(strict_types=1);

// The application, made once: in worker mode for all requests of a thread, in classic mode for each request.

use Slim\App;
use Slim\Http\Request;
use Slim\Http\Response;
use Twig\Environment;
use Twig\Loader\FilesystemLoader;

require_once 'Slim/autoload.php'; // found through include_path
require_once 'Twig/autoload.php';

// Slim binds every handler to its container, so none of them is static.
$app = new App(['settings' => ['displayErrorDetails' => false, 'addContentLengthHeader' => true]]);
$container = $app->getContainer();
$container['view'] = static fn(): Environment => new Environment(
    new FilesystemLoader(__DIR__ . '/templates'),
    ['cache' => __DIR__ . '/var/twig', 'strict_variables' => true],
);
// Lives as long as the application: what a class of your own would hold, a connection or a cache.
$container['visits'] = static fn(): ArrayObject => new ArrayObject(['count' => 0]);

$page = function (Response $response, string $template, array $values = []) use ($container): Response {
    $response->getBody()->write($container->get('view')->render($template, $values));
    return $response->withHeader('Content-Type', 'text/html; charset=utf-8');
};

// A session is opened and closed inside the request that needs one, never at boot.
$session = function (Request $request, Response $response, callable $next): Response {
    session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax']);
    try {
        return $next($request, $response);
    } finally {
        session_write_close();
    }
};

$mode = isset($_SERVER['FRANKENPHP_WORKER']) ? 'worker' : 'classic'; // set while a worker boots, not in its requests
$app->get('/', function (Request $request, Response $response) use ($container, $page, $mode): Response {
    $visits = $container->get('visits');
    $facts = [
        'Mode' => $mode,
        'Requests that this application has handled' => ++$visits['count'],
        'PHP' => PHP_VERSION,
    ];
    return $page($response, 'home.html.twig', ['facts' => $facts, 'notes' => $_SESSION['notes'] ?? []]);
})->add($session);

$app->get('/hello/{name}', fn(Request $request, Response $response, array $parts): Response
    => $page($response, 'hello.html.twig', ['name' => rawurldecode($parts['name'])]));

$app->post('/notes', function (Request $request, Response $response): Response {
    $text = trim((string) $request->getParsedBodyParam('text', ''));
    if ($text === '' || mb_strlen($text) > 200) {
        return $response->withStatus(422)->withHeader('Content-Type', 'text/plain')->write("1 to 200 characters, please\n");
    }
    $_SESSION['notes'][] = $text;
    return $response->withStatus(303)->withHeader('Location', '/');
})->add($session);

$app->get('/api/squares/{count:[0-9]+}', function (Request $request, Response $response, array $parts): Response {
    $count = min(1000, (int) $parts['count']);
    return $response->withJson(['count' => $count, 'squares' => array_map(static fn(int $i): int => $i * $i, range(0, $count))]);
});

$app->map(['PUT', 'PATCH'], '/api/echo', fn(Request $request, Response $response): Response
    => $response->withJson(['method' => $request->getMethod(), 'body' => $request->getParsedBody()]));

$app->get('/fail', function (): never {
    throw new RuntimeException('this page fails on purpose');
});

return $app;
