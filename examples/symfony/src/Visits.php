<?php

declare(strict_types=1);

namespace App;

use Symfony\Contracts\Service\ResetInterface;

/** Counts within a request: Symfony resets it before the next one, also where the kernel lives on. */
final class Visits implements ResetInterface
{
    public int $inThisRequest = 0;

    public function reset(): void
    {
        $this->inThisRequest = 0;
    }
}
