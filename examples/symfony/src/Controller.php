<?php

declare(strict_types=1);

namespace App;

use RuntimeException;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpFoundation\StreamedResponse;
use Symfony\Component\Routing\Generator\UrlGeneratorInterface;
use Twig\Environment;

final class Controller
{
    private int $handledByThisKernel = 0;

    public function __construct(
        private Environment $twig,
        private UrlGeneratorInterface $urls,
        private Visits $visits,
        private string $greeting,
    ) {
    }

    public function home(Request $request): Response
    {
        $session = $request->getSession();
        $session->set('visits', $session->get('visits', 0) + 1);

        return new Response($this->twig->render('home.html.twig', [
            'greeting' => $this->greeting,
            'name' => $request->query->get('name', 'visitor'),
            'visits' => $session->get('visits'),
        ]));
    }

    public function article(Request $request, int $number): JsonResponse
    {
        return new JsonResponse([
            'number' => $number,
            'path' => $this->urls->generate('article', ['number' => $number]),
            'url' => $this->urls->generate('article', ['number' => $number], UrlGeneratorInterface::ABSOLUTE_URL),
            'query' => $request->query->all(),
        ]);
    }

    public function form(Request $request): JsonResponse
    {
        $file = $request->files->get('file');

        return new JsonResponse([
            'fields' => $request->request->all(),
            'file' => $file === null ? null : [
                'name' => $file->getClientOriginalName(),
                'sha256' => hash_file('sha256', $file->getPathname()),
            ],
        ]);
    }

    public function stream(): StreamedResponse
    {
        return new StreamedResponse(static function (): void {
            foreach (range(1, 3) as $number) {
                echo "part $number\n";
                flush();
            }
        }, 200, ['Content-Type' => 'text/plain']);
    }

    public function state(): JsonResponse
    {
        return new JsonResponse([
            'kernel' => ++$this->handledByThisKernel,
            'request' => ++$this->visits->inThisRequest,
        ]);
    }

    public function broken(): Response
    {
        throw new RuntimeException('this page is broken on purpose');
    }
}
