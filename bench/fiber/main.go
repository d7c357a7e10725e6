package main

import (
	"os"

	"github.com/gofiber/fiber/v2"
)

func main() {
	body, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/image", func(c *fiber.Ctx) error {
		c.Set("Content-Type", "image/webp")
		return c.Send(body)
	})
	panic(app.Listen("127.0.0.1:" + os.Args[1]))
}
